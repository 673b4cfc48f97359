//! How a message says that its body is encrypted: the headers of each form, and the JSON around the text.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::Cause;

/// The names as texts, by which the headers of a message are told apart.
mod text {
    pub(super) const SERVICE_COMMUNICATION: &str = "x-service-communication";
    pub(super) const ENCRYPTED_PAYLOAD: &str = "x-encrypted-payload";
    pub(super) const ENCRYPT_RESPONSE: &str = "x-encrypt-response";
    pub(super) const ENCRYPTION_SERVICE: &str = "x-encryption-service";
    pub(super) const SERVICE_NAME: &str = "x-service-name";
    pub(super) const TARGET_SERVICE: &str = "x-target-service";
    pub(super) const KEY_ID: &str = "x-encryption-key-id";
    pub(super) const TIME: &str = "x-encryption-time";
}

/// `encrypted`: the form of Fernet.
pub(crate) const SERVICE_COMMUNICATION: HeaderName = HeaderName::from_static(text::SERVICE_COMMUNICATION);
/// `true`: the first GCM form; `v2`: ours.
pub(crate) const ENCRYPTED_PAYLOAD: HeaderName = HeaderName::from_static(text::ENCRYPTED_PAYLOAD);
/// `true`: the answer shall be encrypted.
pub(crate) const ENCRYPT_RESPONSE: HeaderName = HeaderName::from_static(text::ENCRYPT_RESPONSE);
/// Whose key has encrypted the body.
pub(crate) const ENCRYPTION_SERVICE: HeaderName = HeaderName::from_static(text::ENCRYPTION_SERVICE);
/// Who sends.
pub(crate) const SERVICE_NAME: HeaderName = HeaderName::from_static(text::SERVICE_NAME);
/// Who is to read it.
pub(crate) const TARGET_SERVICE: HeaderName = HeaderName::from_static(text::TARGET_SERVICE);
/// Of v2: which key of that owner.
pub(crate) const KEY_ID: HeaderName = HeaderName::from_static(text::KEY_ID);
/// Of v2: when, in seconds since 1970.
pub(crate) const TIME: HeaderName = HeaderName::from_static(text::TIME);

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
    /// Two forms at once, or one header twice.
    Several,
    /// None of ours.
    Unknown,
}

impl Form {
    /// The header that names it.
    pub(crate) fn header(self) -> (HeaderName, HeaderValue) {
        match self {
            Self::Fernet => (SERVICE_COMMUNICATION, HeaderValue::from_static("encrypted")),
            Self::Gcm => (ENCRYPTED_PAYLOAD, HeaderValue::from_static("true")),
            Self::V2 => (ENCRYPTED_PAYLOAD, HeaderValue::from_static("v2")),
        }
    }
}

/// What the headers of a message say of encryption, found in one pass: to look for each by its name takes longer than to
/// decrypt a small body.
#[derive(Debug, Default)]
pub(crate) struct EncryptionHeaders<'a> {
    service_communication: Found<'a>,
    encrypted_payload: Found<'a>,
    encrypt_response: Found<'a>,
    pub(crate) encryption_service: Found<'a>,
    pub(crate) service_name: Found<'a>,
    pub(crate) target_service: Found<'a>,
    pub(crate) key_id: Found<'a>,
    time: Found<'a>,
}

/// A header that counts only when it stands once.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) enum Found<'a> {
    #[default]
    Nowhere,
    Once(&'a HeaderValue),
    Several,
}

impl<'a> EncryptionHeaders<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let header = match name.as_str() {
                text::SERVICE_COMMUNICATION => &mut found.service_communication,
                text::ENCRYPTED_PAYLOAD => &mut found.encrypted_payload,
                text::ENCRYPT_RESPONSE => &mut found.encrypt_response,
                text::ENCRYPTION_SERVICE => &mut found.encryption_service,
                text::SERVICE_NAME => &mut found.service_name,
                text::TARGET_SERVICE => &mut found.target_service,
                text::KEY_ID => &mut found.key_id,
                text::TIME => &mut found.time,
                _ => continue,
            };
            *header = if let Found::Nowhere = header { Found::Once(value) } else { Found::Several };
        }
        found
    }

    /// The form of the body, if one is named.
    pub(crate) fn form(&self) -> Result<Option<Form>, NoForm> {
        let fernet = self.service_communication.single()?.filter(|value| is(value, b"encrypted"));
        let payload = self.encrypted_payload.single()?.filter(|value| !is(value, b"false"));
        match (fernet, payload) {
            (Some(_), Some(_)) => Err(NoForm::Several),
            (Some(_), None) => Ok(Some(Form::Fernet)),
            (None, Some(value)) if is(value, b"true") => Ok(Some(Form::Gcm)),
            (None, Some(value)) if is(value, b"v2") => Ok(Some(Form::V2)),
            (None, Some(_)) => Err(NoForm::Unknown),
            (None, None) => Ok(None),
        }
    }

    /// Whether a request asks for an answer that is encrypted.
    pub(crate) fn asks_for_encrypted_answer(&self) -> Result<bool, NoForm> {
        Ok(self.encrypt_response.single()?.is_some_and(|value| is(value, b"true")))
    }

    /// Of v2: which key has encrypted the body, and when.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        Some(Stamp { key_id: self.key_id.to_header_text()?, time: self.time.text()?.parse().ok()? })
    }
}

/// Of v2: which key is said to have encrypted a body, and when, in seconds since 1970.
#[derive(Debug)]
pub(crate) struct Stamp {
    pub(super) key_id: HeaderText,
    pub(super) time: i64,
}

impl<'a> Found<'a> {
    /// Whether it stands once and has this text.
    pub(crate) fn equals(self, text: &HeaderText) -> bool {
        matches!(self, Self::Once(value) if *value == text.0)
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        if let Self::Once(value) = self { value.to_str().ok() } else { None }
    }

    /// The same for who needs it for longer.
    pub(crate) fn to_header_text(self) -> Option<HeaderText> {
        if let Self::Once(value) = self { HeaderText::read(value) } else { None }
    }

    fn single(self) -> Result<Option<&'a HeaderValue>, NoForm> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Once(value) => Ok(Some(value)),
            Self::Several => Err(NoForm::Several),
        }
    }
}

/// The name of a service or the id of a key as headers hold it: a text, without a copy each time it is sent.
#[derive(Debug, Clone)]
pub(crate) struct HeaderText(HeaderValue);

impl HeaderText {
    pub(crate) const EMPTY: Self = Self(HeaderValue::from_static(""));

    /// A name that lives as long as the program: its clones need no reference count. Panics on what no header can hold.
    pub(crate) fn from_static(text: &'static str) -> Self {
        Self(HeaderValue::from_static(text))
    }

    /// `None` when no header can hold it.
    pub(crate) fn new(text: &str) -> Option<Self> {
        Self::read(&HeaderValue::from_str(text).ok()?)
    }

    fn read(value: &HeaderValue) -> Option<Self> {
        value.to_str().is_ok().then(|| Self(value.clone()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Checks each byte again, which [`HeaderText::as_bytes`] does not.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn to_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is(value: &HeaderValue, text: &[u8]) -> bool {
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(text)
}

const BEFORE: &str = "{\"encrypted_data\":\"";
const AFTER: &str = "\"}";

/// The body that carries this text, which is base64 and needs no escapes.
pub(super) fn wrap(encrypted_data: &str) -> Bytes {
    [BEFORE, encrypted_data, AFTER].concat().into()
}

/// The body that carries a text of this length, which is written where it stays.
pub(super) fn wrap_written<E>(length: usize, write: impl FnOnce(&mut String) -> Result<(), E>) -> Result<Bytes, E> {
    let mut body = String::with_capacity(BEFORE.len() + length + AFTER.len());
    body.push_str(BEFORE);
    write(&mut body)?;
    body.push_str(AFTER);
    Ok(body.into())
}

/// The text that a body carries.
pub(super) fn unwrap(body: &[u8]) -> Result<Cow<'_, [u8]>, Cause> {
    #[derive(Deserialize)]
    struct EncryptedBody<'a> {
        #[serde(borrow)]
        encrypted_data: Cow<'a, str>,
    }
    // As our own peers write it, without a look at each of its bytes by the parser.
    if let Some(text) = body.strip_prefix(BEFORE.as_bytes()).and_then(|rest| rest.strip_suffix(AFTER.as_bytes()))
        && memchr::memchr2(b'"', b'\\', text).is_none()
    {
        return Ok(Cow::Borrowed(text));
    }
    let body: EncryptedBody<'_> = serde_json::from_slice(body).map_err(|_| Cause::Body)?;
    Ok(match body.encrypted_data {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}
