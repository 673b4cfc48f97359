//! A whole message: its body and the headers that say how it is encrypted.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::form::{ENCRYPTION_SERVICE, HeaderText, KEY_ID, SERVICE_NAME, Stamp, TARGET_SERVICE, TIME, unwrap, wrap};
use super::{Binding, Cause, EncryptError, Form, KeyRing, Received, ReplayCache, Undecryptable};

/// The most that are written.
const HEADERS: usize = 8;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How a body is encrypted on its way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealing<'a> {
    pub(crate) form: Form,
    pub(crate) ring: &'a KeyRing,
    /// Whose ring that is.
    pub(crate) owner: &'a HeaderText,
    pub(crate) sender: &'a HeaderText,
    pub(crate) target: &'a HeaderText,
    /// Of v2: another key of that ring than the newest one.
    pub(crate) key_id: Option<&'a str>,
    pub(crate) binding: Binding<'a>,
    pub(crate) now: Timestamp,
}

impl Sealing<'_> {
    /// The body that is sent instead, whose headers are written over those of the plain one.
    pub(crate) fn seal(&self, plaintext: &[u8], headers: &mut HeaderMap) -> Result<Bytes, EncryptError> {
        headers.reserve(HEADERS);
        let encrypted_data = match self.form {
            Form::Fernet => self.ring.encrypt_fernet(plaintext, self.now)?,
            Form::Gcm => self.ring.encrypt_gcm(plaintext)?,
            Form::V2 => {
                let (key, time) = (self.ring.v2_key(self.key_id)?, self.now.as_second());
                headers.insert(KEY_ID, key.id().to_value());
                headers.insert(TIME, HeaderValue::from(time));
                key.seal(plaintext, &self.binding, time)?
            }
        };
        let (name, value) = self.form.header();
        headers.insert(name, value);
        if self.form != Form::Fernet {
            headers.insert(ENCRYPTION_SERVICE, self.owner.to_value());
            headers.insert(SERVICE_NAME, self.sender.to_value());
            headers.insert(TARGET_SERVICE, self.target.to_value());
        }
        headers.insert(CONTENT_TYPE, JSON);
        Ok(wrap(&encrypted_data))
    }
}

/// How a body that came in is decrypted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub(crate) form: Form,
    /// Of v2; what its headers say, if they do.
    pub(crate) stamp: Option<&'a Stamp>,
    /// Of whoever has sent it.
    pub(crate) ring: &'a KeyRing,
    pub(crate) binding: Binding<'a>,
    pub(crate) now: Timestamp,
    pub(crate) taken: &'a ReplayCache,
}

impl Opening<'_> {
    /// The plain body.
    pub(crate) fn open(&self, body: &[u8]) -> Result<Vec<u8>, Undecryptable> {
        let encrypted_data = unwrap(body)?;
        match self.form {
            Form::Fernet => self.ring.decrypt_fernet(&encrypted_data, self.now),
            Form::Gcm => self.ring.decrypt_gcm(&encrypted_data),
            Form::V2 => {
                let Stamp { key_id, time } = self.stamp.ok_or(Cause::Headers)?;
                let received = Received { key_id: key_id.as_str(), time: *time, encrypted_data: &encrypted_data };
                self.ring.decrypt_v2(&received, &self.binding, self.now, self.taken)
            }
        }
    }
}

/// Whether an answer with this status never has a body (RFC 9110, sections 15.3.5 and 15.4.5).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational()
}

/// Makes a ring ready for the first GCM form, for which its keys have to be derived: on a thread that may block.
pub(crate) async fn ready_for(form: Form, ring: &Arc<KeyRing>) -> Result<(), EncryptError> {
    if form != Form::Gcm || ring.is_derived() {
        return Ok(());
    }
    let ring = Arc::clone(ring);
    tokio::task::spawn_blocking(move || ring.derive()).await.map_err(|_| EncryptError::Failed)?
}
