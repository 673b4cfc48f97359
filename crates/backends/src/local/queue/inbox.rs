//! The callers' side of the writer: a bounded channel of jobs, each with the way back to its caller.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::ports::queue::{QueueError, Receipt};
use tokio::sync::oneshot;

use super::faults;
use super::ledger::Ledger;

/// Commands that may wait; more is refused.
const WAITING_COMMANDS: usize = 4096;
/// Message bytes that may wait.
const WAITING_BYTES: usize = 64 << 20;

/// One caller's work, and the way back to it.
pub(super) trait Job: Send {
    /// Message bytes that it brings.
    fn bytes(&self) -> usize;
    /// Whether it may change something.
    fn writes(&self) -> bool;
    /// Does the work inside the transaction. An error is the file's; what the work did is then undone.
    fn run(&mut self, ledger: &mut Ledger<'_>) -> rusqlite::Result<()>;
    /// Gives the answer of the work, or that the commit failed.
    fn answer(self: Box<Self>, committed: Result<(), &str>);
}

struct Task<W, T> {
    bytes: usize,
    writes: bool,
    work: Option<W>,
    done: Option<Result<T, QueueError>>,
    reply: oneshot::Sender<Result<T, QueueError>>,
}

impl<W, T> Job for Task<W, T>
where
    W: FnOnce(&mut Ledger<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn writes(&self) -> bool {
        self.writes
    }

    fn run(&mut self, ledger: &mut Ledger<'_>) -> rusqlite::Result<()> {
        // Who does not wait any more was told, or took it, that the work failed: a send would come twice.
        if self.reply.is_closed() {
            return Ok(());
        }
        let Some(work) = self.work.take() else { return Ok(()) };
        match work(ledger) {
            Ok(value) => {
                self.done = Some(Ok(value));
                Ok(())
            }
            Err(error) => {
                self.done = Some(Err(faults::sort(&error)));
                Err(error)
            }
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), &str>) {
        let outcome = match committed {
            Ok(()) => self.done.unwrap_or_else(|| Err(QueueError::Other("the work was not done".into()))),
            Err(reason) => Err(QueueError::Unavailable(reason.to_owned())),
        };
        // The caller may have gone; what must not be lost with it gives itself back when dropped.
        let _gone = self.reply.send(outcome);
    }
}

/// The callers' side.
#[derive(Clone)]
pub(super) struct Inbox {
    commands: SyncSender<Box<dyn Job>>,
    shared: Arc<Shared>,
}

/// What both sides see.
#[derive(Default)]
pub(super) struct Shared {
    waiting_bytes: AtomicUsize,
    commits: AtomicU64,
    /// Deliveries that nobody took, to be released with the next group.
    returned: Mutex<Vec<Receipt>>,
}

impl Shared {
    pub(super) fn taken(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take_returned(&self) -> Vec<Receipt> {
        std::mem::take(&mut *self.lock_returned())
    }

    pub(super) fn add_returned(&self, receipts: impl IntoIterator<Item = Receipt>) {
        self.lock_returned().extend(receipts);
    }

    fn lock_returned(&self) -> MutexGuard<'_, Vec<Receipt>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    pub(super) fn new() -> (Self, Receiver<Box<dyn Job>>) {
        let (commands, inbox) = sync_channel(WAITING_COMMANDS);
        (Self { commands, shared: Arc::default() }, inbox)
    }

    /// Has `work` done in the next transaction and waits until that is on disk. Dropping the future before the
    /// transaction comes to it leaves it undone.
    pub(super) async fn call<T, W>(&self, bytes: usize, work: W) -> Result<T, QueueError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Ledger<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.ask(bytes, true, work).await
    }

    /// Has `work` done that changes nothing, before the next transaction.
    pub(super) async fn look<T, W>(&self, work: W) -> Result<T, QueueError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Ledger<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.ask(0, false, work).await
    }

    async fn ask<T, W>(&self, bytes: usize, writes: bool, work: W) -> Result<T, QueueError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Ledger<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.submit(Box::new(Task { bytes, writes, work: Some(work), done: None, reply }))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Releases deliveries that nobody took, soon and whatever happens to the caller.
    pub(super) fn give_back(&self, receipts: impl IntoIterator<Item = Receipt>) {
        self.shared.add_returned(receipts);
        let (reply, _) = oneshot::channel();
        // Wakes the writer. When its inbox is full it is awake.
        let wake = Task { bytes: 0, writes: true, work: Some(|_: &mut Ledger<'_>| Ok(())), done: None, reply };
        let _full = self.submit(Box::new(wake));
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    pub(super) fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    fn submit(&self, job: Box<dyn Job>) -> Result<(), QueueError> {
        let bytes = job.bytes();
        let waiting = self.shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let outcome = if waiting + bytes > WAITING_BYTES {
            Err(full())
        } else {
            self.commands.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => full(),
                TrySendError::Disconnected(_) => stopped(),
            })
        };
        if outcome.is_err() {
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        outcome
    }
}

fn full() -> QueueError {
    QueueError::Unavailable("too much work waits for the disk".into())
}

fn stopped() -> QueueError {
    QueueError::Unavailable("the queue's writer has stopped".into())
}
