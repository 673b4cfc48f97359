//! What every part of the queue shares.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::ids::Ids;
use chassis::ports::Receipt;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::session::Connections;

/// The pause between two looks from the beginning, while there are messages.
const FULL_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A look from the beginning may take this part of the time: it may pass over many dead rows.
const FULL_LOOK_SHARE: u32 = 10;
/// Leases of this process that are to be given back and cannot be at the moment; more of them run out by themselves.
const MOST_RETURNED: usize = 1000;

/// One queue, as its tasks and its callers see it.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) connections: Arc<Connections>,
    pub(super) ids: Arc<Ids>,
    pub(super) max_receive_count: u32,
    /// Looks of receives, which go on when their caller has left.
    pub(super) tasks: TaskTracker,
    /// Told when something may be visible sooner than receivers know.
    changes: watch::Sender<()>,
    /// The same for the receivers of other processes.
    pub(super) outgoing: Notify,
    mark: Mutex<Mark>,
    returned: Mutex<Returned>,
}

/// Where the next look begins. Before it lie, most of the time, only the remains of what was received; while some
/// transaction is open for long they cannot be cleaned up, and passing over them each time would cost more the more
/// they are. What does appear before it (handed back, or committed late) is found a second later.
#[derive(Debug)]
struct Mark {
    due_at: i64,
    next_full_look: Instant,
}

/// What this process holds and does not want.
#[derive(Debug, Default)]
pub(super) struct Returned {
    /// Messages that nobody took.
    pub(super) receipts: Vec<Receipt>,
    /// The nonces of receives whose answer never came.
    pub(super) nonces: Vec<i64>,
}

impl Core {
    pub(super) fn new(connections: Arc<Connections>, ids: Arc<Ids>, max_receive_count: u32) -> Arc<Self> {
        let (changes, _) = watch::channel(());
        Arc::new(Self {
            connections,
            ids,
            max_receive_count: max_receive_count.max(1),
            tasks: TaskTracker::new(),
            changes,
            outgoing: Notify::new(),
            mark: Mutex::new(Mark { due_at: i64::MIN, next_full_look: Instant::now() }),
            returned: Mutex::default(),
        })
    }

    /// After each commit that may show a message, here and to others.
    pub(super) fn changed(&self) {
        self.heard();
        self.outgoing.notify_one();
    }

    /// Another process changed something, or may have.
    pub(super) fn heard(&self) {
        self.changes.send_replace(());
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Where a look begins: from the beginning now and then, and after [`Core::rewind`].
    pub(super) fn mark(&self) -> i64 {
        let mark = lock(&self.mark);
        if Instant::now() >= mark.next_full_look { i64::MIN } else { mark.due_at }
    }

    /// A look that began at `from`, and took `took`, found its first message at `due_at`.
    pub(super) fn advance(&self, from: i64, due_at: i64, took: Duration) {
        let mut mark = lock(&self.mark);
        if from == i64::MIN {
            mark.next_full_look = Instant::now() + FULL_LOOK_INTERVAL.max(took * FULL_LOOK_SHARE);
        }
        mark.due_at = due_at;
    }

    /// The next look begins at the beginning.
    pub(super) fn rewind(&self) {
        *lock(&self.mark) = Mark { due_at: i64::MIN, next_full_look: Instant::now() };
    }

    /// Has messages given back soon that nobody took.
    pub(super) fn give_back(&self, receipts: impl IntoIterator<Item = Receipt>) {
        let returned = &mut lock(&self.returned).receipts;
        let room = MOST_RETURNED.saturating_sub(returned.len());
        returned.extend(receipts.into_iter().take(room));
    }

    /// Has what a receive took given back soon, if it took anything.
    pub(super) fn undo_receive(&self, nonce: i64) {
        let returned = &mut lock(&self.returned).nonces;
        if returned.len() < MOST_RETURNED {
            returned.push(nonce);
        }
    }

    pub(super) fn take_returned(&self) -> Returned {
        std::mem::take(&mut *lock(&self.returned))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
