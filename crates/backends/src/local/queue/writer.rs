//! The thread that owns the file.
//!
//! It takes all the work that waits, runs it in one transaction and answers each caller only after the commit: while
//! one group is on its way to the disk the next gathers, so that many callers share one fsync and a lone one waits
//! for nobody. Where several come at once, more are on their way, and the writer waits for them for up to the time of
//! its last commit (as with PostgreSQL's `commit_delay` and `commit_siblings`): a commit costs as much as a dozen
//! messages. Work that only looks is answered before the transaction, so that it waits for no disk and fails with none.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use chassis::telemetry::logs::CRITICAL;
use tokio::sync::watch;

use super::database::Database;
use super::inbox::{Job, Shared};
use super::ledger::Rules;

/// Commands of one transaction, so that the first of them does not wait for long.
const GROUP_COMMANDS: usize = 512;
/// Message bytes of one transaction.
const GROUP_BYTES: usize = 4 << 20;

/// Commands at once from which on more are waited for.
const SIBLINGS: usize = 4;
/// The longest wait for more, however slow the disk is.
const LONGEST_DELAY: Duration = Duration::from_millis(5);
/// The parts of that wait; one in which nobody comes is the last.
const DELAY_STEPS: u32 = 4;

/// Owns the file.
pub(super) struct Writer {
    pub(super) rules: Rules,
    pub(super) inbox: Receiver<Box<dyn Job>>,
    pub(super) shared: Arc<Shared>,
    pub(super) changes: watch::Sender<()>,
    pub(super) database: Database,
    /// How long the last commit took.
    pub(super) commit_took: Duration,
}

/// Calls for help when it is dropped by a panic.
struct Alarm;

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            const HELP: &str = "the queue's writer panicked: no message is taken or given out until a restart";
            tracing::error!(target: CRITICAL, "{HELP}");
        }
    }
}

impl Writer {
    /// Works until the last inbox is gone and everything in it is done.
    ///
    /// After a panic every call is answered as unavailable and the readiness check says so. The writer does not begin
    /// anew: nobody knows what it left behind, and a new process finds out by opening the file.
    pub(super) fn run(mut self) {
        let _alarm = Alarm;
        while let Some(first) = self.next() {
            let (writes, looks): (Vec<_>, Vec<_>) = self.gather(first).into_iter().partition(|job| job.writes());
            if !looks.is_empty() {
                self.look(looks);
            }
            if !writes.is_empty() {
                self.write(writes);
            }
            if self.database.is_upkeep_overdue() {
                self.database.keep_up();
            }
        }
        self.database.close();
    }

    /// The next job. While the disk fails it is looked at in between, however many jobs come; while it works the file is
    /// kept up where no job comes.
    fn next(&mut self) -> Option<Box<dyn Job>> {
        loop {
            let next_look = self.database.next_look();
            let Some(due) = next_look.or_else(|| self.database.next_upkeep()) else { return self.inbox.recv().ok() };
            match self.inbox.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(job) => {
                    if next_look.is_some_and(|at| at <= Instant::now()) {
                        self.database.recover();
                    }
                    return Some(job);
                }
                Err(RecvTimeoutError::Timeout) if next_look.is_some() => self.database.recover(),
                Err(RecvTimeoutError::Timeout) => self.database.keep_up(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn gather(&self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let mut group = Group { bytes: first.bytes(), jobs: vec![first] };
        group.take_from(&self.inbox);
        if group.jobs.len() >= SIBLINGS && group.writes() {
            self.wait_for_siblings(&mut group);
        }
        self.shared.taken(group.bytes);
        group.jobs
    }

    /// Waits for more as long as more come.
    fn wait_for_siblings(&self, group: &mut Group) {
        let step = self.commit_took.min(LONGEST_DELAY) / DELAY_STEPS;
        for _ in 0..DELAY_STEPS {
            let before = group.jobs.len();
            #[expect(
                clippy::disallowed_methods,
                reason = "a thread of its own, and being woken by each job costs more"
            )]
            std::thread::sleep(step);
            group.take_from(&self.inbox);
            if group.jobs.len() == before || group.is_full() || !group.writes() {
                return;
            }
        }
    }

    fn look(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let outcome = self.database.look(&self.rules, &mut jobs);
        answer(jobs, outcome.as_ref().map(drop).map_err(String::as_str));
    }

    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let returned = self.shared.take_returned();
        let begun = Instant::now();
        let outcome = self.database.write(&self.rules, &mut jobs, &returned);
        self.commit_took = begun.elapsed();
        answer(jobs, outcome.as_ref().map(drop).map_err(String::as_str));
        match outcome {
            Ok(committed) => {
                if committed.changed {
                    self.shared.committed();
                }
                if committed.stirred {
                    self.changes.send_replace(());
                }
            }
            Err(_) => self.shared.add_returned(returned),
        }
    }
}

/// The jobs of one transaction.
struct Group {
    bytes: usize,
    jobs: Vec<Box<dyn Job>>,
}

impl Group {
    fn is_full(&self) -> bool {
        self.jobs.len() >= GROUP_COMMANDS || self.bytes >= GROUP_BYTES
    }

    /// Whether nobody in it only looks: who does must not wait for the disk.
    fn writes(&self) -> bool {
        self.jobs.iter().all(|job| job.writes())
    }

    /// Takes what waits and finds room.
    fn take_from(&mut self, inbox: &Receiver<Box<dyn Job>>) {
        while !self.is_full()
            && let Ok(job) = inbox.try_recv()
        {
            self.bytes += job.bytes();
            self.jobs.push(job);
        }
    }
}

fn answer(jobs: Vec<Box<dyn Job>>, outcome: Result<(), &str>) {
    for job in jobs {
        job.answer(outcome);
    }
}
