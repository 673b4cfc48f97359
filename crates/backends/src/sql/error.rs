//! What went wrong, whichever database it was.

use thiserror::Error;

use crate::gather::Refusal;

/// Why a statement was not executed. Texts are those of the database: for logs, not for callers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SqlError {
    /// The database as a whole cannot be reached; trying again later may help.
    #[error("{0}")]
    Unavailable(String),
    /// No answer in time; whether a write was done is not known.
    #[error("the database did not answer in time")]
    Timeout,
    /// Another row has what only one may have. Nothing is done.
    #[error("another row has a value that is unique")]
    Taken,
    /// The database undid it for the sake of another transaction, such as at a deadlock.
    #[error("{0}")]
    Undone(String),
    /// A fault of this one statement, or of its values. Nothing is done.
    #[error("{0}")]
    Other(String),
}

impl SqlError {
    /// Whether the same statement with other values may succeed at the same moment.
    pub(crate) fn is_of_the_values(&self) -> bool {
        matches!(self, Self::Taken | Self::Undone(_) | Self::Other(_))
    }
}

impl From<Refusal> for SqlError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Unavailable("too much work waits for the database".into()),
            Refusal::Closed => Self::Unavailable("the store is closed".into()),
            Refusal::TimedOut => Self::Timeout,
        }
    }
}
