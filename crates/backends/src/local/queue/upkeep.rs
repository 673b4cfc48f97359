//! What is done for the file while nobody needs it: room is given back to the disk, and the log is emptied.
//!
//! SQLite keeps the pages that deleted messages leave, for later ones. Without more the file would stay as large as the
//! longest backlog ever was. In a file with `auto_vacuum = INCREMENTAL` the last pages can be moved into free ones; that
//! is done in steps, each a small transaction of its own that may fail or be killed like any other. A step waits for a
//! moment in which nothing is written; where such moments do not come, one is done every now and then all the same.
//! After one that failed the next waits for a while. Some free pages stay, so that a steady stream of messages neither
//! grows nor shrinks the file. The log is emptied after the last step, and when it has become long, once nothing was
//! written for a second.
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
/// The most pages that one step gives back: 512 KiB.
const STEP_PAGES: i64 = 128;
/// How long a step goes on giving back.
const STEP_TIME: Duration = Duration::from_millis(10);
/// The most that is written anew at once to give an old file the mode: 8 MiB.
const REWRITTEN_PAGES: i64 = 2048;
/// Pages in the log that are moved into the file between two steps: 4 MiB.
const STEPS_LOG_PAGES: i64 = 1024;
/// Pages of the log's file from which on it is emptied when nothing else is to be done: 1 MiB.
const LONG_LOG_PAGES: i64 = 256;

/// How long nothing must have been written for a step.
const QUIET: Duration = Duration::from_millis(20);
/// How long a step waits for that.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long nothing must have been written for the log to be emptied.
const LONG_QUIET: Duration = Duration::from_secs(1);

/// The wait after a step that failed. It doubles with each further one.
const FIRST_PAUSE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_mins(1) };
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
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

/// A wait after a step that failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    pub(super) length: Duration,
    pub(super) end: Instant,
}

impl Pause {
    pub(super) fn after(earlier: Option<Self>) -> Self {
        let length = earlier.map_or(FIRST_PAUSE, |earlier| LONGEST_PAUSE.min(earlier.length * 2));
        Self { length, end: Instant::now() + length }
    }
}

impl Database {
    /// When to do something for the file if no job comes.
    pub(super) fn next_upkeep(&self) -> Option<Instant> {
        self.upkeep.map(|upkeep| self.not_before(upkeep.when_quiet))
    }

    /// Whether that has waited for long enough.
    pub(super) fn is_upkeep_overdue(&self) -> bool {
        let at_latest = self.upkeep.and_then(|upkeep| upkeep.at_latest);
        at_latest.is_some_and(|at| self.not_before(at) <= Instant::now())
    }

    fn not_before(&self, due: Instant) -> Instant {
        self.pause.map_or(due, |pause| pause.end.max(due))
    }

    /// Does one step of it. That needs a little room too, and waits where there is too little for messages.
    pub(super) fn keep_up(&mut self) {
        let Some(Upkeep { task, .. }) = self.upkeep.take() else { return };
        if self.measure().is_some() {
            self.upkeep = Some(Upkeep::when_quiet_for_long(task));
            return;
        }
        match self.step(task) {
            Ok(_) if self.healthy().is_none() => {}
            Ok(next) => (self.upkeep, self.pause) = (next, None),
            Err(error) => self.put_off(task, &error),
        }
    }

    /// Answers what is to be done next.
    fn step(&mut self, task: Task) -> rusqlite::Result<Option<Upkeep>> {
        let Some(connection) = self.healthy() else { return Ok(None) };
        let step = match task {
            Task::Look => give_back(connection, SPARE_PAGES + WORTHWHILE_PAGES)?,
            Task::GiveBack => give_back(connection, SPARE_PAGES)?,
            Task::EmptyLog => checkpoint(connection, sql::EMPTY_LOG).map(|_| Step::Nothing)?,
        };
        match step {
            Step::More => {
                self.move_log(STEPS_LOG_PAGES)?;
                Ok(Some(Upkeep::soon(Task::GiveBack)))
            }
            Step::Last => {
                // The file ends sooner when the log is in it.
                self.move_log(0)?;
                Ok(Some(Upkeep::when_quiet_for_long(Task::EmptyLog)))
            }
            Step::Nothing if task == Task::EmptyLog => {
                self.log_is_empty();
                Ok(None)
            }
            Step::Nothing => {
                let is_log_long = self.longest_log() >= LONG_LOG_PAGES;
                Ok(is_log_long.then(|| Upkeep::when_quiet_for_long(Task::EmptyLog)))
            }
        }
    }

    /// What failed would fail again at once, as with a quota that is used up.
    pub(super) fn put_off(&mut self, task: Task, error: &rusqlite::Error) {
        let pause = Pause::after(self.pause);
        self.pause = Some(pause);
        self.upkeep = Some(Upkeep::when_quiet_for_long(task));
        self.endure(error, pause.length);
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
        return give_back_some(connection, free - SPARE_PAGES);
    }
    if number(sql::ALL_PAGES)? - free > REWRITTEN_PAGES {
        return Ok(Step::Nothing);
    }
    connection.execute_batch(sql::REWRITE)?;
    Ok(Step::Last)
}

/// Gives back as many of the pages as one step may.
fn give_back_some(connection: &Connection, pages: i64) -> rusqlite::Result<Step> {
    connection.execute_batch(sql::BEGIN)?;
    let begun = Instant::now();
    let mut given = 0;
    while given < pages.min(STEP_PAGES) && begun.elapsed() < STEP_TIME {
        let mut statement = connection.prepare_cached(sql::GIVE_BACK)?;
        let mut rows = statement.query([])?;
        // To the end: what is dropped earlier keeps its error to itself.
        while rows.next()?.is_some() {}
        given += sql::GIVEN_BACK_PAGES;
    }
    connection.execute_batch(sql::COMMIT)?;
    Ok(if given < pages { Step::More } else { Step::Last })
}
