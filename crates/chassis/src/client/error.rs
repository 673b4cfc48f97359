//! Why a call has no answer, by meaning.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::error::{Error, Kind};

/// A call of a service that brought no answer, or none that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{service}: {failure}")]
pub struct CallError {
    service: Arc<str>,
    failure: CallFailure,
    attempts: usize,
}

/// What went wrong. The texts are for the log: they may name addresses, and hold nothing that was sent or received.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallFailure {
    /// No URL can name what the call is about, so there is no such thing. Nothing was sent.
    #[error("{0}")]
    Unaddressable(&'static str),
    /// The call itself is wrong, which is a fault of ours. Nothing was sent.
    #[error("the call cannot be made: {0}")]
    Unsendable(String),
    /// None of its endpoints takes the call: circuits are open, too many calls are under way, no address is known, or nobody
    /// listens there. Nothing was sent.
    #[error("no endpoint of it takes the call: {0}")]
    NoEndpoint(String),
    /// The service broke off, or says that it failed. It may have done what it was asked.
    #[error("it is unavailable: {0}")]
    Unavailable(String),
    /// No whole answer within this time. The service may have done what it was asked.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The answer's body has more bytes than this.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The answer is not what its status promises.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
}

impl CallError {
    pub(super) fn new(service: &Arc<str>, failure: CallFailure) -> Self {
        Self { service: Arc::clone(service), failure, attempts: 0 }
    }

    /// The same, after so many attempts.
    pub(super) fn after(self, attempts: usize) -> Self {
        Self { attempts, ..self }
    }

    /// The service that was called.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// How often it was tried.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// What went wrong.
    #[must_use]
    pub fn failure(&self) -> &CallFailure {
        &self.failure
    }
}

impl From<CallError> for Error {
    /// 503 with `Retry-After`, but 404 for what no URL can name, and 500 for a call that is wrong.
    fn from(error: CallError) -> Self {
        match error.failure {
            CallFailure::Unaddressable(_) => Self::new(Kind::NotFound, "Not Found").caused_by(error),
            CallFailure::Unsendable(_) => Self::internal(error),
            CallFailure::NoEndpoint(_)
            | CallFailure::Unavailable(_)
            | CallFailure::Timeout(_)
            | CallFailure::TooLarge(_)
            | CallFailure::Malformed(_) => {
                Self::new(Kind::Unavailable, format!("{} unavailable", error.service)).caused_by(error)
            }
        }
    }
}
