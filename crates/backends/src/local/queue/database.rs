//! The open file and its health: what is done when the disk fails under it.
//!
//! A write that failed is rolled back and refused, and no further one is begun until the disk has proven itself.
//! Nothing is synced a second time in the hope of a better answer: after an fsync that failed the kernel may mark what
//! it could not write as written, so that the next fsync succeeds and proves nothing ("fsyncgate"; Rebello and others,
//! "Can Applications Recover from fsync Failures?", USENIX ATC 2020). What counts instead:
//!
//! * Acknowledged transactions were synced, and SQLite's index of the log in our memory ends with them. Frames of a
//!   failed one lie behind that end; they are never read, and the log is emptied before another is written.
//! * Emptying the log writes each acknowledged page anew into the file and syncs that. It is repeated as a whole, from
//!   the log, until it succeeds.
//! * A process that ends before that leaves its log to the next, which writes it again before it trusts it
//!   (`log::write_again`).
//!
//! Meanwhile what was acknowledged can be read.
//!
//! A step of the upkeep moves pages and changes nothing of what is in the queue. After one that failed without an error of
//! reading, writing or syncing, as for want of room or memory, writes go on: the next frames take the place of its own,
//! and SQLite's running checksum never joins the two.

use std::cell::Cell;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chassis::ports::queue::Receipt;
use chassis::telemetry::logs::CRITICAL;
use chassis::telemetry::storage::{StorageFailure, StoreFailures};
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::inbox::Job;
use super::ledger::{Ledger, Rules, Tally};
use super::space::{self, Room};
use super::transaction::transact;
use super::upkeep::{Pause, Upkeep};
use super::{faults, file, sql};
use crate::{OpenError, sqlite};

/// Pages in the log before they are moved into the file: 16 MiB.
const LOG_PAGES: i64 = 4000;
/// Of the files that we make.
const PAGE_BYTES: u64 = 4096;
/// The pause between two looks whether the disk works again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

thread_local! {
    /// Pages in the log after the last commit of this thread. SQLite tells them by a plain function, and parses a
    /// statement that asks for them anew each time.
    static PAGES_IN_LOG: Cell<i64> = const { Cell::new(0) };
}

const DAMAGE_HELP: &str =
    "the queue's file is damaged: no message is taken or given out; stop this program and restore the file";
const SYNC_HELP: &str = "the disk did not confirm a write of the queue: nothing is taken until it does";

/// The queue's file.
pub(super) struct Database {
    path: PathBuf,
    failures: StoreFailures,
    /// `None` while the file is not in its place.
    connection: Option<Connection>,
    place: Option<sqlite::Place>,
    tally: Tally,
    health: Health,
    /// What of the log is not in the file yet.
    log_bytes: u64,
    /// The most pages that the log had since it was emptied, which its file keeps room for.
    longest_log: i64,
    /// What is to be done for the file when nobody needs it.
    pub(super) upkeep: Option<Upkeep>,
    /// What that waits for after it failed, even where the disk has proven itself meanwhile.
    pub(super) pause: Option<Pause>,
    /// Whether the disk has less room than it should.
    is_tight: bool,
    /// Whether it has too little for messages.
    is_short: bool,
}

enum Health {
    Well,
    /// Nothing can be written until a look at `next_look` finds otherwise.
    Down {
        reason: String,
        next_look: Instant,
    },
    /// What is written is lost or mixed up; only a person can help.
    Damaged {
        reason: String,
    },
}

/// What a transaction did.
pub(super) struct Committed {
    /// Whether it wrote anything.
    pub(super) changed: bool,
    /// Whether receivers should look again.
    pub(super) stirred: bool,
}

impl Database {
    pub(super) fn new(path: &Path, connection: Connection, failures: StoreFailures) -> Result<Self, OpenError> {
        let tally = Tally::read(&connection).map_err(|error| file::explain(path, &error))?;
        connection.wal_hook(Some(note_pages));
        Ok(Self {
            path: path.to_owned(),
            failures,
            connection: Some(connection),
            place: sqlite::place(path),
            tally,
            health: Health::Well,
            log_bytes: 0,
            longest_log: 0,
            upkeep: Some(Upkeep::after_change(None)),
            pause: None,
            is_tight: false,
            is_short: false,
        })
    }

    /// When to look again whether the disk works.
    pub(super) fn next_look(&self) -> Option<Instant> {
        match self.health {
            Health::Down { next_look, .. } => Some(next_look),
            _ => None,
        }
    }

    /// Does work that changes nothing.
    pub(super) fn look(&mut self, rules: &Rules, jobs: &mut [Box<dyn Job>]) -> Result<(), String> {
        self.notice_a_move();
        let shortage = self.measure();
        let trouble = self.trouble().or(shortage);
        let Some(connection) = &self.connection else { return Err(trouble.unwrap_or_default()) };
        let mut ledger = Ledger { connection, rules, tally: self.tally, trouble };
        let mut failed = None;
        for job in jobs {
            if let Err(error) = job.run(&mut ledger)
                && faults::is_of_the_file(&error)
            {
                failed = Some(error);
            }
        }
        if let Some(error) = failed {
            self.fail(&error);
        }
        Ok(())
    }

    /// Runs the group in one transaction. After an error none of it is acknowledged, and none of it is done.
    pub(super) fn write(
        &mut self,
        rules: &Rules,
        group: &mut [Box<dyn Job>],
        returned: &[Receipt],
    ) -> Result<Committed, String> {
        let trouble = self.measure();
        let (Health::Well, Some(connection)) = (&self.health, &self.connection) else {
            return Err(self.trouble().unwrap_or_default());
        };
        let before = connection.total_changes();
        let mut ledger = Ledger { connection, rules, tally: self.tally, trouble };
        if let Err(error) = transact(&mut ledger, group, returned) {
            self.fail(&error);
            return Err(error.to_string());
        }
        let (tally, changed) = (ledger.tally, connection.total_changes() > before);
        self.tally = Tally { stirred: false, ..tally };
        if changed {
            self.tidy(LOG_PAGES);
            self.upkeep = Some(Upkeep::after_change(self.upkeep));
        }
        Ok(Committed { changed, stirred: tally.stirred })
    }

    /// Moves the log into the file when it has so many pages.
    fn tidy(&mut self, limit: i64) {
        if let Err(error) = self.move_log(limit) {
            self.fail(&error);
        }
    }

    pub(super) fn move_log(&mut self, limit: i64) -> rusqlite::Result<()> {
        let Some(connection) = self.healthy() else { return Ok(()) };
        let longest_log = if self.is_tight { 0 } else { self.longest_log.max(PAGES_IN_LOG.get()) };
        let log_pages = shorten_log(connection, self.is_tight, limit)?;
        self.log_bytes = log_pages.unsigned_abs() * PAGE_BYTES;
        self.longest_log = longest_log;
        Ok(())
    }

    /// The file, while it can be written.
    pub(super) fn healthy(&self) -> Option<&Connection> {
        self.connection.as_ref().filter(|_| matches!(self.health, Health::Well))
    }

    pub(super) fn longest_log(&self) -> i64 {
        self.longest_log
    }

    pub(super) fn log_is_empty(&mut self) {
        PAGES_IN_LOG.set(0);
        (self.log_bytes, self.longest_log) = (0, 0);
    }

    /// Looks whether the disk works again.
    pub(super) fn recover(&mut self) {
        let outcome = if self.is_moved() { self.reopen() } else { self.prove() };
        let path = self.path.display();
        match outcome {
            Ok(()) => {
                tracing::info!(queue.path = %path, "the queue's file takes writes again");
                self.health = Health::Well;
                self.upkeep = Some(Upkeep::after_change(None));
            }
            Err((kind, reason)) => {
                tracing::debug!(queue.path = %path, cause = reason, "the queue's file takes no writes yet");
                self.failures.count(kind);
                self.take_down(kind, reason, Instant::now() + RETRY_PAUSE);
            }
        }
    }

    /// Closing a healthy file moves the log into it. Otherwise the log stays for the next process, as it is.
    pub(super) fn close(self) {
        if let (Some(connection), false) = (&self.connection, matches!(self.health, Health::Well)) {
            sqlite::keep_log(connection, true);
        }
    }

    fn trouble(&self) -> Option<String> {
        match &self.health {
            Health::Well => None,
            Health::Down { reason, .. } | Health::Damaged { reason } => Some(reason.clone()),
        }
    }

    pub(super) fn fail(&mut self, error: &rusqlite::Error) {
        let kind = faults::kind(error);
        self.failures.count(kind);
        let path = self.path.display();
        match kind {
            StorageFailure::Damaged => {}
            StorageFailure::Sync => tracing::error!(target: CRITICAL, { queue.path = %path }, "{SYNC_HELP}: {error}"),
            _ => tracing::error!(queue.path = %path, "the queue could not write: {error}"),
        }
        if self.connection.as_ref().is_some_and(|connection| roll_back(connection).is_err()) {
            self.abandon();
        }
        self.take_down(kind, error.to_string(), Instant::now());
    }

    /// After a step of the upkeep that failed. It changed nothing of what is in the queue, so that sends go on unless the
    /// error leaves open what the disk holds.
    pub(super) fn endure(&mut self, error: &rusqlite::Error, pause: Duration) {
        let is_undone = self.connection.as_ref().is_some_and(|connection| roll_back(connection).is_ok());
        if faults::casts_doubt(error) || !is_undone {
            return self.fail(error);
        }
        self.failures.count(faults::kind(error));
        let path = self.path.display();
        tracing::warn!(queue.path = %path, "no room was given back to the disk, the next try is in {pause:?}: {error}");
    }

    fn take_down(&mut self, kind: StorageFailure, reason: String, next_look: Instant) {
        if matches!(self.health, Health::Damaged { .. }) {
            return;
        }
        self.health = if kind == StorageFailure::Damaged {
            let path = self.path.display();
            tracing::error!(target: CRITICAL, { queue.path = %path }, "{DAMAGE_HELP}: {reason}");
            Health::Damaged { reason }
        } else {
            Health::Down { reason, next_look }
        };
    }

    /// Why there is too little room for messages, if so; the log has a line when that begins and when it ends.
    pub(super) fn measure(&mut self) -> Option<String> {
        let look = |it: &Self| space::look(&it.path, it.connection.as_ref(), it.log_bytes);
        let mut room = look(self);
        self.is_tight = !matches!(room, Room::Plenty);
        if self.is_tight && self.log_bytes > 0 {
            self.tidy(LOG_PAGES);
            room = look(self);
        }
        let shortage = if let Room::Short(reason) = room { Some(reason) } else { None };
        let path = self.path.display();
        match &shortage {
            Some(reason) if !self.is_short => {
                tracing::error!(queue.path = %path, "no message can be taken: {reason}");
                self.failures.count(StorageFailure::DiskFull);
            }
            None if self.is_short => tracing::info!(queue.path = %path, "messages can be taken again"),
            _ => {}
        }
        self.is_short = shortage.is_some();
        shortage
    }

    /// Whoever moves or removes the file under a running system must not have messages put into what has no name.
    fn notice_a_move(&mut self) {
        if matches!(self.health, Health::Well) && self.is_moved() {
            let path = self.path.display();
            tracing::error!(queue.path = %path, "the queue's file is not in its place: nothing is taken until it is");
            self.failures.count(StorageFailure::Other);
            let reason = "the queue's file is not in its place".to_owned();
            self.health = Health::Down { reason, next_look: Instant::now() };
        }
    }

    fn is_moved(&self) -> bool {
        self.connection.is_none() || self.place != sqlite::place(&self.path)
    }

    /// Lets the connection go without a further write.
    fn abandon(&mut self) {
        if let Some(connection) = self.connection.take() {
            sqlite::keep_log(&connection, true);
        }
    }

    /// A file that is missing is not made anew: it may lie on a disk that is not mounted.
    fn reopen(&mut self) -> Result<(), (StorageFailure, String)> {
        self.abandon();
        let opened = file::open_existing(&self.path)
            .and_then(|connection| Self::new(&self.path, connection, self.failures.clone()));
        let opened = opened.map_err(|error| (StorageFailure::Other, error.to_string()))?;
        *self = Self { pause: self.pause, ..opened };
        Ok(())
    }

    /// Moves the log into the file and makes a write of its own.
    fn prove(&mut self) -> Result<(), (StorageFailure, String)> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let prove = || {
            roll_back(connection)?;
            checkpoint(connection, sql::EMPTY_LOG)?;
            connection.pragma_update(None, "application_id", sql::APPLICATION_ID)
        };
        prove().map_err(|error| (faults::kind(&error), error.to_string()))?;
        (self.log_bytes, self.longest_log) = (0, 0);
        Ok(())
    }
}

fn roll_back(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { connection.execute_batch(sql::ROLLBACK) }
}

/// We do it and not SQLite, which would keep a failure to itself. On a disk with little room the log is kept at its
/// shortest. Answers the pages that are not in the file yet.
fn shorten_log(connection: &Connection, is_tight: bool, limit: i64) -> rusqlite::Result<i64> {
    let (pages, moved) = match PAGES_IN_LOG.get() {
        _ if is_tight => checkpoint(connection, sql::EMPTY_LOG)?,
        pages if pages >= limit => checkpoint(connection, sql::MOVE_LOG)?,
        pages => (pages, 0),
    };
    PAGES_IN_LOG.set(pages - moved);
    Ok(pages - moved)
}

/// The log begins anew after all of it was moved into the file, so that none of these pages is there yet.
fn note_pages(_: &Wal, pages: c_int) -> rusqlite::Result<()> {
    PAGES_IN_LOG.set(pages.into());
    Ok(())
}

/// Answers the pages in the log, and how many of them are in the file.
pub(super) fn checkpoint(connection: &Connection, sql: &str) -> rusqlite::Result<(i64, i64)> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?));
    let (busy, pages, moved) = connection.prepare_cached(sql)?.query_row([], read)?;
    if busy == 0 {
        return Ok((pages, moved));
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None))
}
