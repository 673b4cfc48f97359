//! Makes migrations in a file of SQLite.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use super::history::{CHANGED_REMEDY, Changed, History, Recorded};
use super::{Migration, MigrationState, Migrations};
use crate::OpenError;
use crate::sql::sqlite::file::{self, Fault};
use crate::sqlite::{is_log_alone, keep_log, log_of};

/// Opens the file, or makes it, with tables that are up to date. Answers what was made for that.
pub(crate) async fn open(
    migrations: &'static Migrations,
    path: &Path,
    now: Timestamp,
) -> Result<(Connection, Vec<MigrationState>), OpenError> {
    let open = move |path: &Path| {
        let mut connection = file::open(path)?;
        let applied = bring(migrations, &mut connection, now)?;
        Ok((connection, applied))
    };
    file::patiently(path, open).await
}

/// What was made in the file, if there is one.
pub(super) async fn look(migrations: &'static Migrations, path: &Path) -> Result<History, OpenError> {
    let look = move |path: &Path| {
        if is_log_alone(path) {
            return Err(log_alone());
        }
        if !path.exists() {
            return Ok(History::of(migrations.sqlite, Vec::new())?);
        }
        let has_log = log_of(path).exists();
        let connection = file::connect_reader(path)?;
        // Whoever closes last would move it into the file: that of a process that was killed is not ours to move.
        keep_log(&connection, has_log);
        read(migrations, &connection)
    };
    file::patiently(path, look).await
}

/// SQLite would take the log for a left-over and remove it, even for one who only reads.
fn log_alone() -> Fault {
    Fault::Unfit {
        problem: "it is missing or empty, and its log is not".into(),
        remedy: "restore it and its log from a backup, or move both away to start without data".into(),
    }
}

fn bring(migrations: &Migrations, connection: &mut Connection, now: Timestamp) -> Result<Vec<MigrationState>, Fault> {
    let history = read(migrations, connection)?;
    if let Some(newer) = history.newer(migrations.sqlite) {
        let (service, version) = (migrations.service, newer.version);
        tracing::info!(service, version, "the tables are those of a newer version, which this one works with");
    }
    let mut applied = Vec::new();
    let mut is_pending = !history.pending.is_empty();
    while is_pending {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match step(migrations, &transaction, now)? {
            Some(state) => applied.push(state),
            None => is_pending = false,
        }
        transaction.commit()?;
    }
    Ok(applied)
}

/// Makes the next one; `None` when there is none, as others were faster.
fn step(
    migrations: &Migrations,
    transaction: &Transaction<'_>,
    now: Timestamp,
) -> Result<Option<MigrationState>, Fault> {
    let table = migrations.history;
    let Some(&next) = read(migrations, transaction)?.pending.first() else { return Ok(None) };
    transaction.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {table} (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
         applied_at INTEGER NOT NULL) STRICT"
    ))?;
    transaction.execute_batch(next.sql).map_err(|error| explain(migrations, next, error))?;
    transaction.execute(
        &format!("INSERT INTO {table} (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)"),
        params![next.version, next.name, next.checksum(), now.as_microsecond()],
    )?;
    tracing::info!(service = migrations.service, version = next.version, "migration {} is made", next.file());
    Ok(Some(migrations.made(next, now)))
}

/// A fault of the statement itself is most likely that of another program, which has a table of this name.
fn explain(migrations: &Migrations, migration: &Migration, error: rusqlite::Error) -> Fault {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => Fault::Unfit {
            problem: format!("its migration {} failed: {msg}", migration.file()),
            remedy: format!("give the {} a file without other tables of the same names", migrations.kind),
        },
        other => other.into(),
    }
}

fn read(migrations: &Migrations, connection: &Connection) -> Result<History, Fault> {
    let has_table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let table = migrations.history;
    if connection.query_row(has_table, [table], |_| Ok(())).optional()?.is_none() {
        return Ok(History::of(migrations.sqlite, Vec::new())?);
    }
    let text = format!("SELECT version, name, checksum, applied_at FROM {table} ORDER BY version");
    let mut statement = connection.prepare(&text)?;
    let recorded = statement.query_map([], read_row)?.collect::<Result<_, _>>()?;
    Ok(History::of(migrations.sqlite, recorded)?)
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let applied_at = Timestamp::from_microsecond(row.get(3)?).unwrap_or_default();
    Ok(Recorded { version: row.get(0)?, name: row.get(1)?, checksum: row.get(2)?, applied_at })
}

impl From<Changed> for Fault {
    fn from(changed: Changed) -> Self {
        Self::Unfit { problem: changed.problem, remedy: CHANGED_REMEDY.into() }
    }
}
