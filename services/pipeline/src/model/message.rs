//! `POST /api/message`: four e-mail fields and a token.
//!
//! The checks are in three steps, so that the handler can compare the token where the contract does:
//! [`check_content_type`], [`MessageRequest::parse`], the token, [`MessageRequest::into_queue_body`].

use secrecy::SecretString;

use super::error::{FieldError, IngestError};
use super::json_object::{JsonObject, secret_of, text_of};
use super::names::{METADATA, REQUIRED_FIELDS, TOKEN};

const DATA: &str = "data";

/// Checks that the request carries JSON: `application/json` or `application/*+json`, with any parameters.
///
/// # Errors
/// [`IngestError::ContentType`], for an empty body too.
pub fn check_content_type(content_type: Option<&str>, body: &[u8]) -> Result<(), IngestError> {
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or("").trim().to_ascii_lowercase();
    let subtype = media_type.strip_prefix("application/").unwrap_or("");
    let is_json = subtype == "json" || subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty());
    if is_json && !body.is_empty() { Ok(()) } else { Err(IngestError::ContentType) }
}

/// A request whose token is still to be compared.
#[derive(Debug)]
pub struct MessageRequest<'a> {
    object: JsonObject<'a>,
    token: Option<SecretString>,
}

impl<'a> MessageRequest<'a> {
    /// Reads the body as far as the token.
    ///
    /// # Errors
    /// [`IngestError::InvalidJson`] or [`IngestError::MissingToken`].
    pub fn parse(body: &'a [u8]) -> Result<Self, IngestError> {
        let object = JsonObject::parse(body).map_err(|_| IngestError::InvalidJson)?;
        let token = object.get(TOKEN).ok_or(IngestError::MissingToken)?;
        Ok(Self { object, token: secret_of(token) })
    }

    /// The token; `None` when it is no string, and so wrong.
    #[must_use]
    pub fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// Checks `data` and gives the body of the queue message, which is `data` as it was written.
    ///
    /// # Errors
    /// [`IngestError::MissingData`], [`IngestError::MissingFields`] or [`IngestError::Invalid`].
    pub fn into_queue_body(self) -> Result<String, IngestError> {
        let data = self.object.get(DATA).ok_or(IngestError::MissingData)?;
        let Ok(data) = JsonObject::parse_value(data) else {
            return Err(IngestError::Invalid(vec![FieldError::not_an_object(vec!["body", DATA])]));
        };
        let missing: Vec<_> = REQUIRED_FIELDS.into_iter().filter(|name| !data.contains(name)).collect();
        if !missing.is_empty() {
            return Err(IngestError::MissingFields(missing));
        }
        let wrong = wrong_values(&data);
        if wrong.is_empty() { Ok(data.text().to_owned()) } else { Err(IngestError::Invalid(wrong)) }
    }
}

/// Every wrong value at once, so that a caller need not find them one by one.
fn wrong_values(data: &JsonObject<'_>) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    for name in REQUIRED_FIELDS {
        let loc = vec!["body", DATA, name];
        match data.get(name).and_then(text_of) {
            None => wrong.push(FieldError::not_a_string(loc)),
            Some(text) if text.is_empty() => wrong.push(FieldError::empty_string(loc)),
            Some(_) => {}
        }
    }
    if data.contains(METADATA) {
        wrong.push(FieldError::reserved(vec!["body", DATA, METADATA]));
    }
    wrong
}

#[cfg(test)]
mod tests;
