//! `POST /submit`: any object with a token and a timestamp.
//!
//! The handler compares the token between [`Submission::parse`] and [`Submission::into_queued`], as the contract does.

use secrecy::SecretString;

use super::error::{FieldError, IngestError};
use super::json_object::{JsonObject, is_blank, secret_of};
use super::names::{EMAIL_TIMESTREAM, METADATA, TOKEN};
use super::timestamp::{EmailInstant, InvalidTimestamp, parse_email_timestream};

/// A request whose token is still to be compared.
#[derive(Debug)]
pub struct Submission<'a> {
    object: JsonObject<'a>,
    token: Option<SecretString>,
    /// Read early and judged late, after the token.
    email_instant: Result<EmailInstant, InvalidTimestamp>,
}

/// What goes onto the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The payload as it was written, without its token.
    pub body: String,
    /// The moment that `email_timestream` names, for the message's attribute.
    pub email_instant: EmailInstant,
}

impl<'a> Submission<'a> {
    /// Reads the body and checks that both fields say something; wrong values are reported later.
    ///
    /// # Errors
    /// [`IngestError::InvalidJson`] or [`IngestError::MissingTokenOrTimestream`].
    pub fn parse(body: &'a [u8]) -> Result<Self, IngestError> {
        let object = JsonObject::parse(body).map_err(|_| IngestError::InvalidJson)?;
        let filled = |name| object.get(name).filter(|value| !is_blank(value));
        let (Some(token), Some(email_timestream)) = (filled(TOKEN), filled(EMAIL_TIMESTREAM)) else {
            return Err(IngestError::MissingTokenOrTimestream);
        };
        let email_instant = parse_email_timestream(email_timestream);
        Ok(Self { object, token: secret_of(token), email_instant })
    }

    /// The token; `None` when it is no string, and so wrong.
    #[must_use]
    pub fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// Checks the timestamp and takes the token out.
    ///
    /// # Errors
    /// [`IngestError::InvalidTimestamp`] or [`IngestError::Invalid`].
    pub fn into_queued(self) -> Result<Queued, IngestError> {
        let email_instant = self.email_instant.map_err(|_| IngestError::InvalidTimestamp)?;
        if self.object.contains(METADATA) {
            return Err(IngestError::Invalid(vec![FieldError::reserved(vec!["body", METADATA])]));
        }
        Ok(Queued { body: self.object.without(TOKEN), email_instant })
    }
}

#[cfg(test)]
mod tests;
