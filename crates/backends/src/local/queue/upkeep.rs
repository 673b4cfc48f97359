//! What is done for the file while nobody needs it: room is given back to the disk, and the log is emptied.
//!
//! SQLite keeps the pages that deleted messages leave, for later ones. Without more the file would stay as large as the
//! longest backlog ever was. In a file with `auto_vacuum = INCREMENTAL` the last pages can be moved into free ones; that
//! is done in steps, each a small transaction of its own that may fail or be killed like any other. A step waits for a
//! moment in which no job comes; where such moments do not come, one is done every now and then all the same. Some
//! free pages stay, so that a steady stream of messages neither grows nor shrinks the file.
//!
//! A file of an older version has no such mode, and only `VACUUM` gives it one, which writes all that is in it anew. It
//! gets it when little is in it and much is free: in a queue that is worked off, which is also when it is worth it.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::database::{Database, checkpoint};
use super::sql;

/// Free pages that stay in the file: 16 MiB.
const SPARE_PAGES: i64 = 4096;
/// Free pages beside those that are worth the first step: 4 MiB.
const WORTHWHILE_PAGES: i64 = 1024;
/// Pages that one step gives back: 512 KiB.
const STEP_PAGES: i64 = 128;
/// The most that is written anew at once to give an old file the mode: 8 MiB.
const REWRITTEN_PAGES: i64 = 2048;
/// Pages in the log that are moved into the file between two steps: 4 MiB.
const STEPS_LOG_PAGES: i64 = 1024;
/// Pages of the log's file from which on it is emptied when nothing else is to be done: 1 MiB.
const LONG_LOG_PAGES: i64 = 256;

/// How long no job must have come for a step.
const QUIET: Duration = Duration::from_millis(20);
/// How long a step waits for that.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long no job must have come for the log to be emptied.
const LONG_QUIET: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// To look whether there is anything to give back.
    Look,
    GiveBack,
    EmptyLog,
}

/// What is to be done, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upkeep {
    task: Task,
    when_quiet: Instant,
    /// `None`: only when it is quiet.
    at_latest: Option<Instant>,
}

impl Upkeep {
    /// After a change that may have left room.
    pub(super) fn after_change(waiting: Option<Self>) -> Self {
        let began = waiting.is_some_and(|waiting| waiting.task == Task::GiveBack);
        let next = Self::soon(if began { Task::GiveBack } else { Task::Look });
        Self { at_latest: waiting.and_then(|waiting| waiting.at_latest).or(next.at_latest), ..next }
    }

    fn soon(task: Task) -> Self {
        let now = Instant::now();
        Self { task, when_quiet: now + QUIET, at_latest: Some(now + PATIENCE) }
    }

    fn when_quiet_for_long(task: Task) -> Self {
        Self { task, when_quiet: Instant::now() + LONG_QUIET, at_latest: None }
    }
}

impl Database {
    /// When to do something for the file if no job comes.
    pub(super) fn next_upkeep(&self) -> Option<Instant> {
        self.upkeep.map(|upkeep| upkeep.when_quiet)
    }

    /// Whether that has waited for long enough.
    pub(super) fn is_upkeep_overdue(&self) -> bool {
        self.upkeep.and_then(|upkeep| upkeep.at_latest).is_some_and(|at| at <= Instant::now())
    }

    /// Does one step of it. That needs a little room too, and waits where there is too little for messages.
    pub(super) fn keep_up(&mut self) {
        let Some(Upkeep { task, .. }) = self.upkeep.take() else { return };
        if self.measure().is_some() {
            self.upkeep = Some(Upkeep::when_quiet_for_long(task));
            return;
        }
        let Some(connection) = self.healthy() else { return };
        let outcome = match task {
            Task::Look => give_back(connection, SPARE_PAGES + WORTHWHILE_PAGES),
            Task::GiveBack => give_back(connection, SPARE_PAGES),
            Task::EmptyLog => checkpoint(connection, sql::EMPTY_LOG).map(|_| Step::Nothing),
        };
        match outcome {
            Err(error) => self.fail(&error),
            Ok(Step::More) => {
                self.tidy(STEPS_LOG_PAGES);
                self.upkeep = Some(Upkeep::soon(Task::GiveBack));
            }
            Ok(Step::Last) => {
                // The file ends sooner when the log is in it.
                self.tidy(0);
                self.upkeep = Some(Upkeep::when_quiet_for_long(Task::EmptyLog));
            }
            Ok(Step::Nothing) if task == Task::EmptyLog => self.log_is_empty(),
            Ok(Step::Nothing) if self.longest_log() >= LONG_LOG_PAGES => {
                self.upkeep = Some(Upkeep::when_quiet_for_long(Task::EmptyLog));
            }
            Ok(Step::Nothing) => {}
        }
    }
}

enum Step {
    /// There is nothing to give back.
    Nothing,
    /// Some pages are given back, and there are more.
    More,
    /// The last ones are given back.
    Last,
}

/// Gives some pages back when more than `enough` are free.
fn give_back(connection: &Connection, enough: i64) -> rusqlite::Result<Step> {
    let number = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let free = number(sql::FREE_PAGES)?;
    if free <= enough {
        return Ok(Step::Nothing);
    }
    if number(sql::VACUUM_MODE)? == sql::VACUUM_IN_STEPS {
        let pages = STEP_PAGES.min(free - SPARE_PAGES);
        let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        return Ok(if pages < STEP_PAGES { Step::Last } else { Step::More });
    }
    if number(sql::ALL_PAGES)? - free > REWRITTEN_PAGES {
        return Ok(Step::Nothing);
    }
    connection.execute_batch(sql::REWRITE)?;
    Ok(Step::Last)
}
