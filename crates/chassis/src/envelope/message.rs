//! A whole message: its body and the headers that say how it is encrypted.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::form::{ENCRYPTION_SERVICE, KEY_ID, SERVICE_NAME, TARGET_SERVICE, TIME, unwrap, wrap};
use super::{Binding, Cause, EncryptError, Form, KeyRing, Received, ReplayCache, Undecryptable};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How a body is encrypted on its way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealing<'a> {
    pub(crate) form: Form,
    pub(crate) ring: &'a KeyRing,
    /// Whose ring that is.
    pub(crate) owner: &'a str,
    /// Of v2: another key of that ring than the newest one.
    pub(crate) key_id: Option<&'a str>,
    pub(crate) binding: Binding<'a>,
    pub(crate) now: Timestamp,
}

impl Sealing<'_> {
    /// The body that is sent instead, whose headers are written over those of the plain one.
    pub(crate) fn seal(&self, plaintext: &[u8], headers: &mut HeaderMap) -> Result<Bytes, EncryptError> {
        let Binding { sender, target, .. } = self.binding;
        let encrypted_data = match self.form {
            Form::Fernet => self.ring.encrypt_fernet(plaintext, self.now)?,
            Form::Gcm => self.ring.encrypt_gcm(plaintext)?,
            Form::V2 => {
                let sealed = match self.key_id {
                    None => self.ring.encrypt_v2(plaintext, &self.binding, self.now)?,
                    Some(key_id) => self.ring.encrypt_v2_with(key_id, plaintext, &self.binding, self.now)?,
                };
                set(headers, KEY_ID, &sealed.key_id)?;
                headers.insert(TIME, HeaderValue::from(sealed.time));
                sealed.encrypted_data
            }
        };
        let (name, value) = self.form.header();
        headers.insert(name, value);
        if self.form != Form::Fernet {
            set(headers, ENCRYPTION_SERVICE, self.owner)?;
            set(headers, SERVICE_NAME, sender)?;
            set(headers, TARGET_SERVICE, target)?;
        }
        headers.insert(CONTENT_TYPE, JSON);
        Ok(wrap(&encrypted_data))
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) -> Result<(), EncryptError> {
    headers.insert(name, HeaderValue::from_str(text).map_err(|_| EncryptError::Name)?);
    Ok(())
}

/// How a body that came in is decrypted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub(crate) form: Form,
    /// Of whoever has sent it.
    pub(crate) ring: &'a KeyRing,
    pub(crate) binding: Binding<'a>,
    pub(crate) now: Timestamp,
    pub(crate) taken: &'a ReplayCache,
}

impl Opening<'_> {
    /// The plain body of a message with these headers.
    pub(crate) fn open(&self, headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Undecryptable> {
        let encrypted_data = unwrap(body)?;
        match self.form {
            Form::Fernet => self.ring.decrypt_fernet(&encrypted_data, self.now),
            Form::Gcm => self.ring.decrypt_gcm(&encrypted_data),
            Form::V2 => {
                let key_id = text(headers, &KEY_ID).ok_or(Cause::Headers)?;
                let time = text(headers, &TIME).and_then(|time| time.parse().ok()).ok_or(Cause::Headers)?;
                let received = Received { key_id, time, encrypted_data: &encrypted_data };
                self.ring.decrypt_v2(&received, &self.binding, self.now, self.taken)
            }
        }
    }
}

/// Whether an answer with this status never has a body (RFC 9110, sections 15.3.5 and 15.4.5).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational()
}

/// A header that stands once.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// Makes a ring ready for the first GCM form, for which its keys have to be derived: on a thread that may block.
pub(crate) async fn ready_for(form: Form, ring: &Arc<KeyRing>) -> Result<(), EncryptError> {
    if form != Form::Gcm || ring.is_derived() {
        return Ok(());
    }
    let ring = Arc::clone(ring);
    tokio::task::spawn_blocking(move || ring.derive()).await.map_err(|_| EncryptError::Failed)?
}
