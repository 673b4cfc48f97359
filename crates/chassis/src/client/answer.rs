//! What a service answered.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::{CallError, CallFailure};

/// An answer, read whole. What its status means is the caller's to judge.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) service: Arc<str>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) attempts: usize,
}

impl Answer {
    /// The status. Redirects are not followed, so it may be one.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// How many attempts it took.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as JSON of a known shape. Unknown members are ignored, and so is the content type.
    ///
    /// # Errors
    /// [`CallFailure::Malformed`]: what was expected, and where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        let mut deserializer = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| self.not_of_shape(&error))?;
        deserializer.end().map_err(|_| self.malformed("expected one JSON value".to_owned()))?;
        Ok(value)
    }

    /// This answer, unless the service failed to give a better one.
    ///
    /// # Errors
    /// [`CallFailure::Unavailable`] for a status of 500 and above.
    pub fn unless_failed(self) -> Result<Self, CallError> {
        if self.status.is_server_error() { Err(self.unexpected()) } else { Ok(self) }
    }

    /// For a status that the service is not known to answer: it is unavailable.
    #[must_use]
    pub fn unexpected(&self) -> CallError {
        CallError::new(&self.service, CallFailure::Unavailable(format!("it answered {}", self.status)))
    }

    /// Where it differs, and not what was found there, which may be personal.
    fn not_of_shape(&self, error: &serde_path_to_error::Error<serde_json::Error>) -> CallError {
        let inner = error.inner();
        let place = format!("line {}, column {}", inner.line(), inner.column());
        let (status, path) = (self.status, error.path());
        self.malformed(if inner.is_data() {
            format!("the body of a {status} has another shape than expected at `{path}`, {place}")
        } else {
            format!("expected JSON in the body of a {status}, which ends being that at {place}")
        })
    }

    fn malformed(&self, text: String) -> CallError {
        CallError::new(&self.service, CallFailure::Malformed(text))
    }
}
