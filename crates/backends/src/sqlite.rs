//! Files of SQLite: what the embedded stores have in common.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use chassis::telemetry::storage::StorageFailure;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, ffi};

/// Makes a file where there is none. What is in it is nobody else's business: it, and with it SQLite's side files, is
/// for its owner only.
pub(crate) fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Which file a path leads to: a file that was moved, or lies on another disk now, is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    device: u64,
    inode: u64,
}

/// `None` when there is none.
pub(crate) fn place(path: &Path) -> Option<Place> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    #[cfg(unix)]
    let (device, inode) =
        (std::os::unix::fs::MetadataExt::dev(&metadata), std::os::unix::fs::MetadataExt::ino(&metadata));
    #[cfg(not(unix))]
    let (device, inode) = (0, u64::from(metadata.is_file()));
    Some(Place { device, inode })
}

/// Whether closing the connection leaves the log as it is, or moves it into the file.
pub(crate) fn keep_log(connection: &Connection, keep: bool) {
    // SQLite refuses only what it does not know.
    let _known = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep);
}

/// Whether other calls would fail the same way.
pub(crate) fn is_of_the_file(error: &rusqlite::Error) -> bool {
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
pub(crate) fn casts_doubt(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SystemIoFailure)
    )
}

/// For the metric, and for how loud the log is.
pub(crate) fn kind(error: &rusqlite::Error) -> StorageFailure {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StorageFailure::DiskFull,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StorageFailure::Damaged,
        _ if extended == Some(ffi::SQLITE_IOERR_FSYNC) => StorageFailure::Sync,
        _ => StorageFailure::Other,
    }
}

/// Whether another connection is in the way.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether a log holds something and its file is missing or empty. SQLite would remove the log, and with it what was
/// acknowledged.
pub(crate) fn is_log_alone(path: &Path) -> bool {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    length(path) == 0 && length(&log_of(path)) > 0
}

/// Where the log of a file is.
pub(crate) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Closes a connection whose file may not be in its place any more, without a further write: the log that SQLite would
/// move and remove may be that of another file by now.
pub(crate) fn abandon(connection: Connection) {
    keep_log(&connection, true);
    drop(connection);
}
