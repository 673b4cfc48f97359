//! A whole message: its body and the headers that say how it is encrypted.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use jiff::Timestamp;

use super::aes_gcm::encoded_length;
use super::form::{
    ENCRYPTION_SERVICE, HeaderText, KEY_ID, SERVICE_NAME, Stamp, TARGET_SERVICE, TIME, unwrap, wrap, wrap_written,
};
use super::{Binding, Cause, Direction, EncryptError, Form, KeyRing, Received, ReplayCache, Undecryptable};

/// The most that are written.
const HEADERS: usize = 7;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A call, as the bodies of its request and of its answer are bound to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallBinding<'a> {
    pub(crate) method: &'a Method,
    /// With its query.
    pub(crate) path: &'a str,
    pub(crate) caller: &'a HeaderText,
    pub(crate) callee: &'a HeaderText,
}

impl<'a> CallBinding<'a> {
    /// Who sends a body that goes this way, and who is to read it.
    fn sender_and_target(&self, direction: Direction) -> (&'a HeaderText, &'a HeaderText) {
        match direction {
            Direction::Request => (self.caller, self.callee),
            Direction::Response => (self.callee, self.caller),
        }
    }

    fn binding(&self, direction: Direction) -> Binding<'a> {
        let (sender, target) = self.sender_and_target(direction);
        let (sender, target) = (sender.as_bytes(), target.as_bytes());
        Binding { direction, method: self.method.as_str(), path: self.path, sender, target }
    }
}

/// How a body is encrypted on its way out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealing<'a> {
    pub(crate) form: Form,
    pub(crate) ring: &'a KeyRing,
    /// Whose ring that is.
    pub(crate) owner: &'a HeaderText,
    /// Of v2: another key of that ring than the newest one.
    pub(crate) key_id: Option<&'a str>,
    pub(crate) call: CallBinding<'a>,
    pub(crate) direction: Direction,
    pub(crate) now: Timestamp,
}

impl Sealing<'_> {
    /// The body that is sent instead, whose headers are written over those of the plain one.
    pub(crate) fn seal(&self, plaintext: &[u8], headers: &mut HeaderMap) -> Result<Bytes, EncryptError> {
        headers.reserve(HEADERS);
        let body = match self.form {
            Form::Fernet => wrap(&self.ring.encrypt_fernet(plaintext, self.now)?),
            Form::Gcm => wrap(&self.ring.encrypt_gcm(plaintext)?),
            Form::V2 => {
                let (key, time) = (self.ring.v2_key(self.key_id)?, self.now.as_second());
                let binding = self.call.binding(self.direction);
                let write = |text: &mut String| key.seal(plaintext, &binding, time, text);
                let body = wrap_written(encoded_length(plaintext.len()), write)?;
                headers.insert(KEY_ID, key.id().to_value());
                headers.insert(TIME, HeaderValue::from(time));
                body
            }
        };
        let (name, value) = self.form.header();
        headers.insert(name, value);
        if self.form != Form::Fernet {
            let (sender, target) = self.call.sender_and_target(self.direction);
            headers.insert(ENCRYPTION_SERVICE, self.owner.to_value());
            headers.insert(SERVICE_NAME, sender.to_value());
            headers.insert(TARGET_SERVICE, target.to_value());
        }
        headers.insert(CONTENT_TYPE, JSON);
        Ok(body)
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
    pub(crate) call: CallBinding<'a>,
    pub(crate) direction: Direction,
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
                self.ring.decrypt_v2(&received, &self.call.binding(self.direction), self.now, self.taken)
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
