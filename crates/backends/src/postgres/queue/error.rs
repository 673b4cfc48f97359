//! What went wrong, by its meaning for the queue.

use chassis::ports::QueueError;

use crate::gather::Refusal;
use crate::postgres::error as of_postgres;
use crate::sql::SqlError;

/// The queue's error for one of the driver.
pub(super) fn sort(error: &sqlx::Error) -> QueueError {
    of_postgres::sort(error).into()
}

impl From<SqlError> for QueueError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(cause) | SqlError::Undone(cause) => Self::Unavailable(cause),
            SqlError::Timeout => Self::Timeout,
            SqlError::Taken => Self::Other("a row with the same key is there".into()),
            SqlError::Other(cause) => Self::Other(cause),
        }
    }
}

impl From<Refusal> for QueueError {
    fn from(refusal: Refusal) -> Self {
        SqlError::from(refusal).into()
    }
}
