//! How a message says that its body is encrypted: the headers of each form, and the JSON around the text.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::Cause;

/// `encrypted`: the form of Fernet.
pub(crate) const SERVICE_COMMUNICATION: HeaderName = HeaderName::from_static("x-service-communication");
/// `true`: the first GCM form; `v2`: ours.
pub(crate) const ENCRYPTED_PAYLOAD: HeaderName = HeaderName::from_static("x-encrypted-payload");
/// `true`: the answer shall be encrypted.
pub(crate) const ENCRYPT_RESPONSE: HeaderName = HeaderName::from_static("x-encrypt-response");
/// Whose key has encrypted the body.
pub(crate) const ENCRYPTION_SERVICE: HeaderName = HeaderName::from_static("x-encryption-service");
/// Who sends.
pub(crate) const SERVICE_NAME: HeaderName = HeaderName::from_static("x-service-name");
/// Who is to read it.
pub(crate) const TARGET_SERVICE: HeaderName = HeaderName::from_static("x-target-service");
/// Of v2: which key of that owner.
pub(crate) const KEY_ID: HeaderName = HeaderName::from_static("x-encryption-key-id");
/// Of v2: when, in seconds since 1970.
pub(crate) const TIME: HeaderName = HeaderName::from_static("x-encryption-time");

/// The forms of encrypted bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For old peers.
    Fernet,
    /// For old peers: the first one with AES-256-GCM.
    Gcm,
    /// Ours.
    V2,
}

/// The headers contradict each other, or name a form that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoForm {
    /// Two forms at once.
    Several,
    /// None of ours.
    Unknown,
}

impl Form {
    /// The form that the headers of a message name, if they name one.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, NoForm> {
        let fernet = single(headers, &SERVICE_COMMUNICATION)?.filter(|value| is(value, b"encrypted"));
        let payload = single(headers, &ENCRYPTED_PAYLOAD)?.filter(|value| !is(value, b"false"));
        match (fernet, payload) {
            (Some(_), Some(_)) => Err(NoForm::Several),
            (Some(_), None) => Ok(Some(Self::Fernet)),
            (None, Some(value)) if is(value, b"true") => Ok(Some(Self::Gcm)),
            (None, Some(value)) if is(value, b"v2") => Ok(Some(Self::V2)),
            (None, Some(_)) => Err(NoForm::Unknown),
            (None, None) => Ok(None),
        }
    }

    /// The header that names it.
    pub(crate) fn header(self) -> (HeaderName, HeaderValue) {
        match self {
            Self::Fernet => (SERVICE_COMMUNICATION, HeaderValue::from_static("encrypted")),
            Self::Gcm => (ENCRYPTED_PAYLOAD, HeaderValue::from_static("true")),
            Self::V2 => (ENCRYPTED_PAYLOAD, HeaderValue::from_static("v2")),
        }
    }
}

/// Whether a request asks for an answer that is encrypted.
pub(crate) fn asks_for_encrypted_answer(headers: &HeaderMap) -> bool {
    headers.get(&ENCRYPT_RESPONSE).is_some_and(|value| is(value, b"true"))
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, NoForm> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(NoForm::Several) } else { Ok(first) }
}

fn is(value: &HeaderValue, text: &[u8]) -> bool {
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(text)
}

const BEFORE: &str = "{\"encrypted_data\":\"";
const AFTER: &str = "\"}";

/// The body that carries this text, which is base64 and needs no escapes.
pub(super) fn wrap(encrypted_data: &str) -> Bytes {
    let mut body = Vec::with_capacity(BEFORE.len() + encrypted_data.len() + AFTER.len());
    for part in [BEFORE, encrypted_data, AFTER] {
        body.extend_from_slice(part.as_bytes());
    }
    body.into()
}

/// The text that a body carries.
pub(super) fn unwrap(body: &[u8]) -> Result<Cow<'_, str>, Cause> {
    #[derive(Deserialize)]
    struct EncryptedBody<'a> {
        #[serde(borrow)]
        encrypted_data: Cow<'a, str>,
    }
    // As our own peers write it, without a look at each of its bytes by the parser.
    if let Some(text) = body.strip_prefix(BEFORE.as_bytes()).and_then(|rest| rest.strip_suffix(AFTER.as_bytes()))
        && memchr::memchr2(b'"', b'\\', text).is_none()
    {
        return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| Cause::Body);
    }
    serde_json::from_slice(body).map(|body: EncryptedBody<'_>| body.encrypted_data).map_err(|_| Cause::Body)
}
