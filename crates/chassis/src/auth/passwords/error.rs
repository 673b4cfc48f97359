//! Why a password was not hashed.

use std::time::Duration;

use crate::error::{Error, Kind};

/// When a caller that found the pool full may come back.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Why a password was not hashed. Holds nothing of a password or a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// As many callers wait as may; nothing was hashed.
    #[error("all threads that hash passwords are busy, and as many callers wait as may")]
    Busy,
    /// The stored hash cannot be used.
    #[error("the stored password hash cannot be used, a new password replaces it: {0}")]
    Damaged(String),
    /// A fault of the machine or of this program.
    #[error("the password could not be hashed: {0}")]
    Failed(String),
}

impl From<PasswordError> for Error {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::new(Kind::Overloaded, "Too many requests at once, try again later")
                .retry_after(RETRY_AFTER)
                .caused_by(error),
            PasswordError::Damaged(_) | PasswordError::Failed(_) => Self::internal(error),
        }
    }
}
