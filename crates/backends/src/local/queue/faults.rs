//! Sorts SQLite's errors by meaning.

use chassis::ports::queue::QueueError;
use chassis::telemetry::storage::StorageFailure;
use rusqlite::{ErrorCode, ffi};

/// An error of the disk or the file as a whole is `Unavailable`; any other concerns the one call.
pub(super) fn sort(error: &rusqlite::Error) -> QueueError {
    if is_of_the_file(error) {
        QueueError::Unavailable(error.to_string())
    } else {
        QueueError::Other(error.to_string())
    }
}

/// Whether other calls would fail the same way.
pub(super) fn is_of_the_file(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NotADatabase
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
        )
    )
}

/// Whether it leaves open what the disk holds of what was written.
pub(super) fn casts_doubt(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure)
    )
}

/// For the metric, and for how loud the log is.
pub(super) fn kind(error: &rusqlite::Error) -> StorageFailure {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StorageFailure::DiskFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StorageFailure::Damaged,
        _ if extended == Some(ffi::SQLITE_IOERR_FSYNC) => StorageFailure::Sync,
        _ => StorageFailure::Other,
    }
}

pub(super) fn unwritable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error)
}
