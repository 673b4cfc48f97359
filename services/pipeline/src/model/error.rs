//! Why ingest did not take a message: the quoted texts of the contract, and what kind of answer each is.

use chassis::error::Kind;
use serde::Serialize;
use thiserror::Error;

/// One wrong value. Says where and what, never the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The way to the value, `body` first.
    pub loc: Vec<&'static str>,
    /// What is expected.
    pub msg: &'static str,
    /// The same for machines. Texts and types are those of FastAPI, whose clients read them.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl FieldError {
    pub(super) fn not_an_object(loc: Vec<&'static str>) -> Self {
        Self { loc, msg: "Input should be a valid dictionary", kind: "dict_type" }
    }

    pub(super) fn not_a_string(loc: Vec<&'static str>) -> Self {
        Self { loc, msg: "Input should be a valid string", kind: "string_type" }
    }

    pub(super) fn empty_string(loc: Vec<&'static str>) -> Self {
        Self { loc, msg: "String should have at least 1 character", kind: "string_too_short" }
    }

    pub(super) fn reserved(loc: Vec<&'static str>) -> Self {
        Self { loc, msg: "Extra inputs are not permitted", kind: "extra_forbidden" }
    }
}

/// Why ingest did not take a message. Prints as the text that the caller gets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IngestError {
    /// `/api/message` takes JSON only, and wants a body.
    #[error("Content-Type must be application/json")]
    ContentType,
    /// The body is malformed, or is not an object.
    #[error("Invalid JSON payload")]
    InvalidJson,
    /// `/api/message` without `token`.
    #[error("Missing 'token' field")]
    MissingToken,
    /// The token of `/api/message` is wrong.
    #[error("Invalid token")]
    WrongMessageToken,
    /// The token of `/submit` is wrong.
    #[error("Invalid token")]
    WrongSubmitToken,
    /// The right token is not known, and its source does not answer.
    #[error("Token validation unavailable")]
    TokenUnavailable,
    /// `/api/message` without `data`.
    #[error("Missing 'data' field")]
    MissingData,
    /// `data` lacks these fields.
    #[error("Missing required fields in data: {}", .0.join(", "))]
    MissingFields(Vec<&'static str>),
    /// `/submit` without one of its two fields.
    #[error("Missing token or email_timestream")]
    MissingTokenOrTimestream,
    /// The `email_timestream` of `/submit` names no instant.
    #[error("Invalid timestamp format")]
    InvalidTimestamp,
    /// Values of the wrong kind.
    #[error("Validation failed")]
    Invalid(Vec<FieldError>),
    /// The message is over the queue's limit.
    #[error("Payload too large")]
    TooLarge,
    /// The queue did not take the message.
    #[error("Failed to send message")]
    SendFailed,
}

impl IngestError {
    /// What kind of answer this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::ContentType
            | Self::InvalidJson
            | Self::MissingToken
            | Self::MissingData
            | Self::MissingFields(_)
            | Self::MissingTokenOrTimestream
            | Self::InvalidTimestamp => Kind::BadRequest,
            Self::WrongMessageToken => Kind::Unauthorized,
            Self::WrongSubmitToken => Kind::Forbidden,
            Self::Invalid(_) => Kind::Invalid,
            Self::TooLarge => Kind::PayloadTooLarge,
            Self::TokenUnavailable | Self::SendFailed => Kind::Unavailable,
        }
    }

    /// The text that the caller gets, in `detail` and in `error`.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// The wrong values of [`Kind::Invalid`]; empty for every other kind.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        match self {
            Self::Invalid(errors) => errors,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_text_and_the_kind_of_the_contract() {
        let missing = IngestError::MissingFields(vec!["email_subject", "email_content"]);
        for (error, kind, text) in [
            (IngestError::ContentType, Kind::BadRequest, "Content-Type must be application/json"),
            (IngestError::InvalidJson, Kind::BadRequest, "Invalid JSON payload"),
            (IngestError::MissingToken, Kind::BadRequest, "Missing 'token' field"),
            (IngestError::WrongMessageToken, Kind::Unauthorized, "Invalid token"),
            (IngestError::WrongSubmitToken, Kind::Forbidden, "Invalid token"),
            (IngestError::TokenUnavailable, Kind::Unavailable, "Token validation unavailable"),
            (IngestError::MissingData, Kind::BadRequest, "Missing 'data' field"),
            (missing, Kind::BadRequest, "Missing required fields in data: email_subject, email_content"),
            (IngestError::MissingTokenOrTimestream, Kind::BadRequest, "Missing token or email_timestream"),
            (IngestError::InvalidTimestamp, Kind::BadRequest, "Invalid timestamp format"),
            (IngestError::Invalid(vec![]), Kind::Invalid, "Validation failed"),
            (IngestError::TooLarge, Kind::PayloadTooLarge, "Payload too large"),
            (IngestError::SendFailed, Kind::Unavailable, "Failed to send message"),
        ] {
            assert_eq!((error.kind(), error.text().as_str()), (kind, text));
            assert!(error.errors().is_empty());
        }
    }

    #[test]
    fn a_wrong_value_is_printed_as_fastapi_does() {
        let error = FieldError::not_a_string(vec!["body", "data", "email_subject"]);
        let json = serde_json::to_string(&error).unwrap();
        let expected =
            r#"{"loc":["body","data","email_subject"],"msg":"Input should be a valid string","type":"string_type"}"#;
        assert_eq!(json, expected);
    }
}
