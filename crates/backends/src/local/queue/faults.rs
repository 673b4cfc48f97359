//! Sorts SQLite's errors by their meaning for the queue.

use chassis::ports::queue::QueueError;

pub(super) use crate::sqlite::{casts_doubt, is_of_the_file, kind};

/// An error of the disk or the file as a whole is `Unavailable`; any other concerns the one call.
pub(super) fn sort(error: &rusqlite::Error) -> QueueError {
    if is_of_the_file(error) {
        QueueError::Unavailable(error.to_string())
    } else {
        QueueError::Other(error.to_string())
    }
}

pub(super) fn unwritable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error)
}
