//! Opens the queue's file: creates it, refuses what is not ours, sets how it is written.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::database::checkpoint;
use super::log::{self, Damage};
use super::sql;
use crate::OpenError;
use crate::local::durable;
use crate::sqlite::{create, is_log_alone, keep_log};

/// Long enough for the previous process to finish closing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Every statement of `sql.rs` stays prepared.
const PREPARED_STATEMENTS: usize = 48;

/// `EXCLUSIVE`: leases are given back when the file is opened, so a second process must not get in. `FULL`: with
/// `NORMAL` a power cut loses acknowledged messages. `checkpoint_fullfsync` and `fullfsync` matter on macOS only.
/// `wal_autocheckpoint`: off, `database` does it. `temp_store`: what `upkeep` writes anew passes through it, and the
/// folder of temporary files may be one that cannot be written.
const SETTINGS: &str = "
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA wal_autocheckpoint = 0;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;
";

/// Files up to this size are looked through at each start, which takes 0.15 s at most when they are in memory. In a
/// larger one damage is found when it is read.
const CHECKED_BYTES: u64 = 256 << 20;

/// Opens or creates the file at `path`.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    check_that_no_log_is_alone(path)?;
    create(path).map_err(|error| {
        OpenError::unusable(path, error, "the queue needs a file that it can read and write in an existing folder")
    })?;
    open_existing(path)
}

fn check_that_no_log_is_alone(path: &Path) -> Result<(), OpenError> {
    match is_log_alone(path) {
        true => Err(OpenError::unusable(path, "it is missing or empty, and its log is not", DAMAGE_REMEDY)),
        false => Ok(()),
    }
}

/// Opens the file, without a write before all of it is looked at.
pub(super) fn open_existing(path: &Path) -> Result<Connection, OpenError> {
    let failed = |error: rusqlite::Error| explain(path, &error);
    let connection = connect(path).map_err(failed)?;
    check_owner(path, &connection)?;
    settle_log(&log::path_of(path))?;
    check_content(path, &connection)?;
    // Only a file without anything in it takes the mode.
    if is_new(&connection).map_err(failed)? {
        connection.execute_batch(sql::VACUUM_STEPS).map_err(failed)?;
    }
    switch_to_wal(path, &connection)?;
    sync_folder(path)?;
    prepare(&connection).map_err(failed)?;
    checkpoint(&connection, sql::EMPTY_LOG).map_err(failed)?;
    keep_log(&connection, false);
    Ok(connection)
}

/// Only the owner of the file's lock may do this.
fn settle_log(path: &Path) -> Result<(), OpenError> {
    let unusable =
        |error: std::io::Error| OpenError::unusable(path, error, "the queue needs its log on a disk that works");
    match log::inspect(path).map_err(unusable)? {
        None => log::write_again(path).map_err(unusable),
        Some(Damage { at: 0 }) => {
            let problem = "it is damaged: it does not begin as a log of SQLite";
            Err(OpenError::unusable(
                path,
                problem,
                "restore it and the queue's file from a backup, or move it away to go on without what is in it",
            ))
        }
        Some(Damage { at }) => {
            let problem = format!("it is damaged {at} bytes from its start, with messages behind that were accepted");
            let remedy = format!(
                "restore it and the queue's file from a backup, or go on without those: truncate -s {at} {}",
                path.display()
            );
            Err(OpenError::unusable(path, problem, remedy))
        }
    }
}

fn check_content(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > CHECKED_BYTES) {
        return Ok(());
    }
    let found: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| explain(path, &error))?;
    match found.as_str() {
        "ok" => Ok(()),
        damage => {
            let problem = format!("it is damaged ({})", damage.lines().last().unwrap_or_default());
            Err(OpenError::unusable(path, problem, DAMAGE_REMEDY))
        }
    }
}

/// SQLite does this too when it has made a log, but passes over a failure.
fn sync_folder(path: &Path) -> Result<(), OpenError> {
    let folder = durable::folder_of(path);
    durable::sync_folder(folder)
        .map_err(|error| OpenError::unusable(folder, error, "the queue needs a folder on a disk that works"))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    keep_log(&connection, true);
    Ok(connection)
}

/// Looks before anything is changed in the file.
fn check_owner(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let read = || Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?, number(COUNT_TABLES)?));
    let (application_id, version, tables) = read().map_err(|error| explain(path, &error))?;
    if tables == 0 && application_id == 0 {
        return Ok(());
    }
    if application_id != sql::APPLICATION_ID {
        let problem = "it is a SQLite database of another program, not a Keelson queue";
        return Err(OpenError::unusable(path, problem, REMEDY));
    }
    if version > sql::SCHEMA_VERSION {
        let problem = format!("it has schema version {version}, this program knows up to {}", sql::SCHEMA_VERSION);
        return Err(OpenError::unusable(path, problem, "run the newer Keelson that wrote it"));
    }
    Ok(())
}

const COUNT_TABLES: &str = "SELECT count(*) FROM sqlite_schema";
const REMEDY: &str = "give the queue another file, or move this one away to start with an empty queue";
const DAMAGE_REMEDY: &str = "restore it and its log from a backup, or move both away to start with an empty queue";

fn switch_to_wal(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let switch = || connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
    match switch() {
        Ok(mode) if mode == "wal" => Ok(()),
        Ok(mode) => {
            let problem = format!("no write-ahead log is possible here (journal mode {mode})");
            Err(OpenError::unusable(path, problem, "put the queue's file on a local disk"))
        }
        Err(error) => Err(explain(path, &error)),
    }
}

fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(COUNT_TABLES, [], |row| row.get::<_, i64>(0)).map(|tables| tables == 0)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SETTINGS)?;
    connection.execute_batch(sql::BEGIN)?;
    if is_new(connection)? {
        connection.execute_batch(sql::SCHEMA)?;
        connection.pragma_update(None, "application_id", sql::APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", sql::SCHEMA_VERSION)?;
    }
    connection.execute_batch(sql::COMMIT)
}

pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            OpenError::unusable(path, format!("it is damaged or no SQLite database ({error})"), DAMAGE_REMEDY)
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            OpenError::unusable(path, format!("it is damaged ({error})"), DAMAGE_REMEDY)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::unusable(path, "another process has the queue open", "stop it, or give the queue another file")
        }
        Some(ErrorCode::DiskFull) => OpenError::unusable(path, "the disk is full", "free some space"),
        _ => {
            OpenError::unusable(path, error, "the queue needs a file that it can read and write, on a disk that works")
        }
    }
}
