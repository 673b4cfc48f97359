//! The embedded queue: one SQLite file with the semantics of SQS, a dead-letter queue included.
//!
//! One process owns the file and one thread its connection (`writer`); callers hand their work over a bounded
//! channel and are answered after the commit. A process that died held its leases: opening the file gives them back,
//! those too that ran out meanwhile, as nobody can tell any more who let them run out. What waits for another attempt
//! is no lease and keeps its count and its time.

mod database;
mod faults;
mod file;
mod graveyard;
mod inbox;
mod ledger;
mod log;
mod space;
mod sql;
mod transaction;
mod upkeep;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use chassis::ports::lease::Lease;
use chassis::ports::long_poll::LongPoll;
use chassis::ports::queue::{
    DeadLetter, DeadLetterSummary, DeadLetters, Message, MessageId, NewMessage, Queue, QueueError, QueueStats, Receipt,
    Receive, validate_batch, validate_batch_len, validate_visibility,
};
use rusqlite::Connection;
use tokio::sync::watch;

use self::database::Database;
use self::graveyard::Slice;
use self::inbox::Inbox;
use self::ledger::{Fault, Ledger, Rules, Taken};
use self::writer::Writer;
use crate::{OpenError, QueueContext};

/// A durable queue in one file. Dropping it finishes what was begun, which blocks for a moment.
pub struct SqliteQueue {
    path: PathBuf,
    inbox: Option<Inbox>,
    changes: watch::Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteQueue {
    /// Opens or creates the queue in the file at `path`, whose folder exists. A message is delivered at most
    /// [`QueueContext::max_receive_count`] times, at least once. What a process that died had received is visible again, uncounted.
    ///
    /// # Errors
    /// When the file cannot be written, is in use by another process, or is not a queue of this program.
    pub fn open(path: impl Into<PathBuf>, context: QueueContext) -> Result<Arc<Self>, OpenError> {
        let path = path.into();
        let QueueContext { clock, ids, max_receive_count, failures } = context;
        let rules = Rules { clock, ids, max_receive_count: max_receive_count.max(1) };
        let connection = file::open(&path)?;
        give_back_leases(&connection, &rules).map_err(|error| file::explain(&path, &error))?;
        let database = Database::new(&path, connection, failures.of("queue"))?;
        let (changed, changes) = watch::channel(());
        let (inbox, commands) = Inbox::new();
        let writer = Writer {
            rules,
            inbox: commands,
            shared: inbox.shared(),
            changes: changed,
            database,
            commit_took: Duration::ZERO,
        };
        let thread = std::thread::Builder::new().name("queue-writer".into()).spawn(|| writer.run());
        let thread = Mutex::new(Some(thread.map_err(OpenError::Thread)?));
        Ok(Arc::new(Self { path, inbox: Some(inbox), changes, thread }))
    }

    /// Whether a queue was made in the file at `path`. One whose log alone is left was.
    #[must_use]
    pub fn exists(path: &Path) -> bool {
        path.exists() || log::path_of(path).exists()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many transactions wrote to the disk since the queue was opened. Measures how well concurrent callers share
    /// them: the tests hold the queue to it.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inbox.as_ref().map_or(0, Inbox::commits)
    }

    fn inbox(&self) -> Result<&Inbox, QueueError> {
        self.inbox.as_ref().ok_or_else(|| QueueError::Unavailable("the queue is closed".into()))
    }

    async fn call<T, W>(&self, work: W) -> Result<T, QueueError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Ledger<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.inbox()?.call(0, work).await
    }

    /// The same for work that changes nothing: it is done while nothing can be written, too.
    async fn look<T, W>(&self, work: W) -> Result<T, QueueError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Ledger<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.inbox()?.look(work).await
    }

    /// One look of a receive. What it took goes back when this future is dropped before it is ready.
    async fn take(&self, request: Receive) -> Result<Taken, QueueError> {
        let inbox = self.inbox()?.clone();
        let work = move |ledger: &mut Ledger<'_>| {
            let taken = ledger.receive(request)?;
            Ok(Handover { taken: Some(taken), inbox })
        };
        Ok(self.call(work).await?.accept())
    }

    async fn for_each(
        &self,
        receipts: &[Receipt],
        act: impl FnMut(&mut Ledger<'_>, Lease) -> Result<(), Fault> + Send + 'static,
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_batch_len(receipts.len())?;
        let receipts = receipts.to_vec();
        self.call(move |ledger| ledger.for_each(&receipts, act)).await
    }

    /// Repeats `slice` until it finds nothing more; answers how many rows it did.
    async fn slices(
        &self,
        slice: fn(&mut Ledger<'_>, Option<i64>) -> rusqlite::Result<Slice>,
    ) -> Result<u64, QueueError> {
        let (mut ceiling, mut total) = (None, 0);
        loop {
            let part = self.call(move |ledger| slice(ledger, ceiling)).await?;
            if part.done == 0 {
                return Ok(total);
            }
            total += part.done;
            ceiling = Some(part.ceiling);
        }
    }
}

fn give_back_leases(connection: &Connection, rules: &Rules) -> rusqlite::Result<()> {
    let now = rules.clock.now().as_microsecond();
    connection.execute(sql::GIVE_BACK_LEASES, [now]).map(drop)
}

/// A delivery on its way from the writer to its receiver.
struct Handover {
    taken: Option<Taken>,
    inbox: Inbox,
}

impl Handover {
    fn accept(mut self) -> Taken {
        self.taken.take().unwrap_or(Taken { messages: Vec::new(), next_due: None })
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take()
            && !taken.messages.is_empty()
        {
            self.inbox.give_back(taken.messages.into_iter().map(|message| message.receipt));
        }
    }
}

#[async_trait]
impl Queue for SqliteQueue {
    async fn send_batch(&self, messages: Vec<NewMessage>) -> Result<Vec<Result<MessageId, QueueError>>, QueueError> {
        validate_batch(&messages)?;
        let bytes = messages.iter().map(NewMessage::size_bytes).sum();
        self.inbox()?.call(bytes, move |ledger| ledger.send(messages)).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Message>, QueueError> {
        request.validate()?;
        let mut poll = LongPoll::start(self.changes.clone(), request.wait);
        loop {
            poll.look();
            let taken = self.take(request).await?;
            if !taken.messages.is_empty() || !poll.nap(taken.next_due).await {
                return Ok(taken.messages);
            }
        }
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        self.for_each(receipts, |ledger, lease| ledger.delete(lease)).await
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(visibility)?;
        self.for_each(receipts, move |ledger, lease| ledger.hide(lease, visibility)).await
    }

    async fn release(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(pause)?;
        self.for_each(receipts, move |ledger, lease| ledger.release(lease, pause)).await
    }

    async fn retry(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(pause)?;
        self.for_each(receipts, move |ledger, lease| ledger.retry(lease, pause)).await
    }

    async fn dead_letter(&self, message: &Message, reason: &str) -> Result<(), QueueError> {
        let reason = reason.to_owned();
        let act = move |ledger: &mut Ledger<'_>, lease: Lease| ledger.dead_letter(lease, &reason);
        let mut answers = self.for_each(std::slice::from_ref(&message.receipt), act).await?;
        answers.pop().unwrap_or(Ok(()))
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.look(|ledger| ledger.ping()).await?
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        self.look(|ledger| ledger.stats()).await
    }

    async fn purge(&self) -> Result<u64, QueueError> {
        self.slices(|ledger, ceiling| ledger.purge_some(ceiling)).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, QueueError> {
        self.look(move |ledger| ledger.dead_letters(limit)).await
    }

    async fn find_dead_letter(&self, id: &MessageId) -> Result<Option<DeadLetter>, QueueError> {
        let id = id.clone();
        self.look(move |ledger| ledger.find_dead_letter(&id)).await
    }

    async fn redrive(&self, which: DeadLetters) -> Result<u64, QueueError> {
        match which {
            DeadLetters::All => self.slices(|ledger, ceiling| ledger.redrive_some(ceiling)).await,
            DeadLetters::Ids(ids) => self.call(move |ledger| ledger.redrive_ids(&ids)).await,
        }
    }

    async fn purge_dead_letters(&self, which: DeadLetters) -> Result<u64, QueueError> {
        match which {
            DeadLetters::All => self.slices(|ledger, ceiling| ledger.purge_some_dead(ceiling)).await,
            DeadLetters::Ids(ids) => self.call(move |ledger| ledger.purge_dead_ids(&ids)).await,
        }
    }
}

impl Drop for SqliteQueue {
    /// Closing the inbox ends the writer when its work is done.
    fn drop(&mut self) {
        self.inbox = None;
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic was reported when it happened.
            let _panicked = thread.join();
        }
    }
}

impl fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteQueue").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
