//! Opens a file: creates it, refuses what is not ours, sets how it is written.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::OpenError;
use crate::local::durable;
use crate::sqlite::{create, is_busy, is_log_alone};

/// "KSQL": tells files of stores from that of the queue, and from those of other programs that have a mark.
const APPLICATION_ID: i64 = 0x4b53_514c;
/// Of the file as a whole. What is in the tables of a store is the matter of its migrations.
const FORMAT: i64 = 1;

/// How long a statement waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a start waits for other processes that start too, or bring the tables up to date.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
const PREPARED_STATEMENTS: usize = 64;

/// Files up to this size are looked through at each start, which takes 0.15 s at most when they are in memory.
const CHECKED_BYTES: u64 = 256 << 20;

/// `FULL`: with `NORMAL` a power cut loses rows that were acknowledged. `fullfsync` and `checkpoint_fullfsync` matter on
/// macOS only. `wal_autocheckpoint`: a page that many transactions change is moved into the file once in 4000 and not in
/// 1000 pages of the log, whose index is still one block.
const SETTINGS: &str = "
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;
PRAGMA checkpoint_fullfsync = ON;
PRAGMA foreign_keys = ON;
PRAGMA journal_size_limit = 67108864;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;
";

const COUNT_TABLES: &str = "SELECT count(*) FROM sqlite_schema";
/// What the log holds is read by now. Written into the file it is on disk, whatever became of the log's own pages. Waits
/// for nobody.
const MOVE_LOG: &str = "PRAGMA wal_checkpoint(PASSIVE)";

const NEEDS: &str = "the database needs a file that it can read and write, in an existing folder on a disk that works";
const DAMAGE_REMEDY: &str = "restore it and its log from a backup, or move both away to start without data";

/// Why a file cannot be opened, for the person who starts the program.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    Unfit { problem: String, remedy: String },
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    fn unfit(problem: impl ToString, remedy: impl ToString) -> Self {
        Self::Unfit { problem: problem.to_string(), remedy: remedy.to_string() }
    }
}

/// Does with the file at `path` what may have to wait for other processes, on a thread that may wait.
pub(crate) async fn patiently<T: Send + 'static>(
    path: &Path,
    work: impl Fn(&Path) -> Result<T, Fault> + Clone + Send + 'static,
) -> Result<T, OpenError> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        let (own, work) = (path.to_owned(), work.clone());
        let working = spawn_blocking(move || work(&own)).await;
        match working.map_err(|error| OpenError::Thread(error.into()))? {
            Err(Fault::Sql(error)) if is_busy(&error) && begun.elapsed() < PATIENCE => {
                if !is_told {
                    tracing::info!(sqlite.path = %path.display(), "another process works on the file; waiting for it");
                }
                is_told = true;
                sleep(PAUSE).await;
            }
            outcome => return outcome.map_err(|fault| explain(path, fault)),
        }
    }
}

/// Opens or creates the file, to write it.
pub(crate) fn open(path: &Path) -> Result<Connection, Fault> {
    if is_log_alone(path) {
        return Err(Fault::unfit("it is missing or empty, and its log is not", DAMAGE_REMEDY));
    }
    create(path).map_err(|error| Fault::unfit(error, NEEDS))?;
    let connection = connect(path)?;
    check_owner(&connection)?;
    check_content(path, &connection)?;
    switch_to_wal(&connection)?;
    let folder = durable::folder_of(path);
    durable::sync_folder(folder).map_err(|error| Fault::unfit(error, NEEDS))?;
    connection.execute_batch(SETTINGS)?;
    connection.query_row(MOVE_LOG, [], |_| Ok(()))?;
    mark(&connection)?;
    Ok(connection)
}

/// Opens a file that was open before, to write it.
pub(super) fn connect_again(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.execute_batch(SETTINGS)?;
    connection.query_row(MOVE_LOG, [], |_| Ok(()))?;
    Ok(connection)
}

/// Opens a file that is there, to read it.
pub(crate) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;")?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    Ok(connection)
}

/// Looks before anything is changed in the file. One without a mark may hold other people's tables.
fn check_owner(connection: &Connection) -> Result<(), Fault> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let (application_id, format) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    match application_id {
        0 => Ok(()),
        APPLICATION_ID if format > FORMAT => Err(Fault::unfit(
            format!("it has format {format}, this program knows up to {FORMAT}"),
            "run the newer Keelson that wrote it",
        )),
        APPLICATION_ID => Ok(()),
        _ => Err(Fault::unfit(
            "it is a SQLite database of another kind, such as that of the queue or of another program",
            "name another file",
        )),
    }
}

fn check_content(path: &Path, connection: &Connection) -> Result<(), Fault> {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > CHECKED_BYTES) {
        return Ok(());
    }
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        damage => {
            let damage = damage.lines().last().unwrap_or_default();
            Err(Fault::unfit(format!("it is damaged ({damage})"), DAMAGE_REMEDY))
        }
    }
}

fn switch_to_wal(connection: &Connection) -> Result<(), Fault> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        other => Err(Fault::unfit(
            format!("no write-ahead log is possible here (journal mode {other})"),
            "put the file on a local disk",
        )),
    }
}

/// Says whose it is, where nothing is in it yet.
fn mark(connection: &Connection) -> rusqlite::Result<()> {
    let tables = || connection.query_row(COUNT_TABLES, [], |row| row.get::<_, i64>(0));
    if tables()? > 0 {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    if tables()? == 0 {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
    }
    connection.execute_batch("COMMIT")
}

pub(crate) fn explain(path: &Path, fault: Fault) -> OpenError {
    let error = match fault {
        Fault::Unfit { problem, remedy } => return OpenError::unusable(path, problem, remedy),
        Fault::Sql(error) => error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            OpenError::unusable(path, format!("it is damaged or no SQLite database ({error})"), DAMAGE_REMEDY)
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            OpenError::unusable(path, format!("it is damaged ({error})"), DAMAGE_REMEDY)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::unusable(path, "another process keeps it locked", "stop that, or name another file")
        }
        Some(ErrorCode::DiskFull) => OpenError::unusable(path, "the disk is full", "free some space"),
        _ => OpenError::unusable(path, error, NEEDS),
    }
}
