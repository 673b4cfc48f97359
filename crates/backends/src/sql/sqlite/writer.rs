//! The connection that writes.
//!
//! A transaction that failed is rolled back, and nothing of it is synced a second time in the hope of a better answer:
//! its frames lie in the log behind the end that SQLite knows, and the next transaction writes over them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chassis::telemetry::logs::CRITICAL;
use chassis::telemetry::storage::{StorageFailure, StoreFailures};
use rusqlite::Connection;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::calls::{Call, Outcome, sort};
use super::file;
use crate::gather::Work;
use crate::sql::SqlError;
use crate::sqlite::{Place, abandon, is_busy, is_of_the_file, kind, place};

/// Holds what writes the file.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    /// `None` while the file is not in its place.
    connection: Option<Connection>,
    place: Option<Place>,
    failures: StoreFailures,
    /// Whether the log says so.
    is_down: bool,
}

impl Writer {
    pub(super) fn new(path: &Path, connection: Connection, failures: StoreFailures) -> Self {
        let place = place(path);
        Self { path: path.to_owned(), connection: Some(connection), place, failures, is_down: false }
    }

    /// Executes calls in one transaction. One that fails by its values fails alone.
    fn write(&mut self, calls: &[Call]) -> Result<Vec<Outcome>, SqlError> {
        let outcome = self.connection().and_then(|connection| transact(connection, calls));
        match &outcome {
            Ok(_) if self.is_down => {
                tracing::info!(sqlite.path = %self.path.display(), "the file takes writes again");
                self.is_down = false;
            }
            Ok(_) => {}
            Err(error) => self.fail(error),
        }
        outcome.map_err(|error| sort(&error))
    }

    /// Whoever moves or removes the file under a running system must not have rows put into what has no name. A file that
    /// is missing is not made anew: it may lie on a disk that is not mounted.
    fn connection(&mut self) -> rusqlite::Result<&Connection> {
        let place = place(&self.path);
        if self.place != place
            && let Some(connection) = self.connection.take()
        {
            abandon(connection);
        }
        match &mut self.connection {
            Some(connection) => Ok(connection),
            lost => {
                let connection = file::connect_again(&self.path)?;
                self.place = place;
                Ok(lost.insert(connection))
            }
        }
    }

    fn fail(&mut self, error: &rusqlite::Error) {
        let is_undone = self.connection.as_ref().is_some_and(|connection| roll_back(connection).is_ok());
        if !is_undone && let Some(connection) = self.connection.take() {
            abandon(connection);
        }
        if is_busy(error) {
            return;
        }
        let kind = kind(error);
        self.failures.count(kind);
        let path = self.path.display();
        if self.is_down {
            tracing::debug!(sqlite.path = %path, cause = %error, "the file takes no writes yet");
        } else if kind == StorageFailure::Damaged {
            tracing::error!(target: CRITICAL, { sqlite.path = %path }, "the file is damaged, restore it: {error}");
        } else {
            tracing::error!(sqlite.path = %path, "the file could not be written: {error}");
        }
        self.is_down = true;
    }
}

fn transact(connection: &Connection, calls: &[Call]) -> rusqlite::Result<Vec<Outcome>> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut outcomes = Vec::with_capacity(calls.len());
    for call in calls {
        match call.execute(connection) {
            // Nothing is left of the transaction, or nothing should be.
            Err(error) if connection.is_autocommit() || is_of_the_file(&error) => return Err(error),
            outcome => outcomes.push(outcome.map_err(|error| sort(&error))),
        }
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(outcomes)
}

fn roll_back(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { connection.execute_batch("ROLLBACK") }
}

/// Writes of many callers.
#[derive(Debug)]
pub(super) struct Writes(Arc<Mutex<Writer>>);

impl Writes {
    pub(super) fn new(writer: Writer) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }
}

#[async_trait]
impl Work for Writes {
    type Entry = Call;
    type Answer = Outcome;
    type Error = SqlError;

    /// What comes while one group commits is the next.
    const LANES: usize = 1;

    async fn work(&self, calls: Vec<Call>, _: Instant) -> Result<Vec<Outcome>, SqlError> {
        let writer = Arc::clone(&self.0);
        let writing = spawn_blocking(move || writer.lock().unwrap_or_else(PoisonError::into_inner).write(&calls));
        writing.await.map_err(|error| SqlError::Other(error.to_string()))?
    }
}
