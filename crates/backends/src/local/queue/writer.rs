//! The thread that owns the connection.
//!
//! It takes all the work that waits, runs it in one transaction and answers each caller only after the commit: while
//! one group is on its way to the disk the next gathers, so that many callers share one fsync and a lone one waits
//! for nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use chassis::ports::queue::Receipt;
use chassis::telemetry::logs::CRITICAL;
use rusqlite::Connection;
use tokio::sync::watch;

use super::inbox::{Job, Shared};
use super::ledger::{Ledger, Rules, Tally};
use super::{faults, file, sql};

/// Commands of one transaction, so that the first of them does not wait for long.
const GROUP_COMMANDS: usize = 512;
/// Message bytes of one transaction.
const GROUP_BYTES: usize = 4 << 20;
/// Owns the connection.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) rules: Rules,
    pub(super) inbox: Receiver<Box<dyn Job>>,
    pub(super) shared: Arc<Shared>,
    pub(super) changes: watch::Sender<()>,
    /// `None` after a failure of the disk, until it can be opened again.
    pub(super) connection: Option<(Connection, Tally)>,
}

/// Calls for help when it is dropped by a panic.
struct Alarm(PathBuf);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            const HELP: &str = "the queue's writer panicked: no message is taken or given out until a restart";
            tracing::error!(target: CRITICAL, { queue.path = %self.0.display() }, "{HELP}");
        }
    }
}

impl Writer {
    /// Works until the last inbox is gone and everything in it is done. Closing the connection then moves the log
    /// into the file.
    ///
    /// After a panic every call is answered as unavailable and the readiness check says so. The writer does not begin
    /// anew: nobody knows what it left behind, and a new process finds out by opening the file.
    pub(super) fn run(mut self) {
        let _alarm = Alarm(self.path.clone());
        while let Ok(first) = self.inbox.recv() {
            let mut group = self.gather(first);
            let returned = self.shared.take_returned();
            let outcome = self.commit(&mut group, &returned);
            for job in group {
                job.answer(outcome.as_ref().map(drop).map_err(String::as_str));
            }
            match outcome {
                Ok(false) => {}
                Ok(true) => self.changes.send_replace(()),
                Err(_) => self.shared.add_returned(returned),
            }
        }
    }

    fn gather(&self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_COMMANDS
            && bytes < GROUP_BYTES
            && let Ok(job) = self.inbox.try_recv()
        {
            bytes += job.bytes();
            group.push(job);
        }
        self.shared.taken(bytes);
        group
    }

    /// Runs the group in one transaction; answers whether receivers should look again. After an error none of it is
    /// acknowledged, and the file is opened anew: what SQLite or the kernel holds of a failed write is not to be
    /// trusted. When it was the last fsync that failed, the group may be there all the same; a caller that sends again
    /// then sends twice, which at-least-once allows.
    fn commit(&mut self, group: &mut [Box<dyn Job>], returned: &[Receipt]) -> Result<bool, String> {
        let (connection, tally) = match self.connection.take() {
            Some(open) => open,
            None => reopen(&self.path)?,
        };
        let before = connection.total_changes();
        let mut ledger = Ledger { connection: &connection, rules: &self.rules, tally };
        match transact(&mut ledger, group, returned) {
            Ok(()) => {
                let tally = ledger.tally;
                if connection.total_changes() > before {
                    self.shared.committed();
                }
                self.connection = Some((connection, Tally { stirred: false, ..tally }));
                Ok(tally.stirred)
            }
            Err(error) => {
                tracing::error!(queue.path = %self.path.display(), "the queue could not write: {error}");
                // Otherwise the transaction just ends with its connection.
                drop(connection);
                Err(error.to_string())
            }
        }
    }
}

/// After an fsync that failed the kernel may drop what it could not write and still show it to readers. Moving the
/// log into the file writes all of it again.
fn reopen(path: &Path) -> Result<(Connection, Tally), String> {
    let connection = file::open(path).map_err(|error| error.to_string())?;
    let busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    if busy != 0 {
        return Err("the queue's log could not be moved into its file".into());
    }
    let tally = Tally::read(&connection).map_err(|error| error.to_string())?;
    tracing::info!(queue.path = %path.display(), "the queue's file is open again");
    Ok((connection, tally))
}

fn transact(ledger: &mut Ledger<'_>, group: &mut [Box<dyn Job>], returned: &[Receipt]) -> rusqlite::Result<()> {
    ledger.execute(sql::BEGIN, [])?;
    // One that was delivered again meanwhile is stale and stays where it is.
    ledger.for_each(returned, |ledger, lease| ledger.release(lease, Duration::ZERO))?;
    for job in group {
        attempt(ledger, job.as_mut())?;
    }
    ledger.execute(sql::COMMIT, []).map(drop)
}

/// A statement that fails takes back its own command only, unless SQLite gave up the whole transaction.
fn attempt(ledger: &mut Ledger<'_>, job: &mut dyn Job) -> rusqlite::Result<()> {
    ledger.execute(sql::SAVEPOINT, [])?;
    let before = ledger.tally;
    if let Err(error) = job.run(ledger) {
        if ledger.connection.is_autocommit() || faults::is_of_the_file(&error) {
            return Err(error);
        }
        ledger.tally = before;
        ledger.execute(sql::SAVEPOINT_ROLLBACK, [])?;
    }
    ledger.execute(sql::SAVEPOINT_RELEASE, []).map(drop)
}
