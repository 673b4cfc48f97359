//! Opens the queue's file: creates it, refuses what is not ours, sets how it is written.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::sql;
use crate::OpenError;

/// Long enough for the previous process to finish closing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Every statement of `sql.rs` stays prepared.
const PREPARED_STATEMENTS: usize = 48;

/// `EXCLUSIVE`: leases are given back when the file is opened, so a second process must not get in. `FULL`: with
/// `NORMAL` a power cut loses acknowledged messages. `checkpoint_fullfsync` and `fullfsync` matter on macOS only.
const SETTINGS: &str = "
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA journal_size_limit = 67108864;
PRAGMA cache_size = -16384;
";

/// Opens or creates the file at `path`.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    create(path).map_err(|error| {
        OpenError::unusable(path, error, "the queue needs a file that it can read and write in an existing folder")
    })?;
    let connection = connect(path).map_err(|error| explain(path, &error))?;
    check_owner(path, &connection)?;
    switch_to_wal(path, &connection)?;
    prepare(&connection).map_err(|error| explain(path, &error))?;
    Ok(connection)
}

/// Messages are nobody else's business: the file, and with it SQLite's side files, is for its owner only.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
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

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SETTINGS)?;
    connection.execute_batch(sql::BEGIN)?;
    let tables: i64 = connection.query_row(COUNT_TABLES, [], |row| row.get(0))?;
    if tables == 0 {
        connection.execute_batch(sql::SCHEMA)?;
        connection.pragma_update(None, "application_id", sql::APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", sql::SCHEMA_VERSION)?;
    }
    connection.execute_batch(sql::COMMIT)
}

pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::unusable(path, format!("it is damaged or no SQLite database ({error})"), REMEDY)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::unusable(path, "another process has the queue open", "stop it, or give the queue another file")
        }
        _ => OpenError::unusable(path, error, "the queue needs a file that it can read and write"),
    }
}
