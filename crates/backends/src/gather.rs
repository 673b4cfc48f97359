//! Many callers, few transactions: what is asked for while one commits goes into the next, all of it together.
//!
//! Nobody waits for company: a call that finds a lane free goes at once. While the disk is slow, or callers are many,
//! the groups grow by themselves.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// How long a call may take with all its parts.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(4);
/// Calls that may wait; more is refused.
const WAITING_CALLS: usize = 4096;
/// Bytes that may wait or be on their way, in KiB.
const WAITING_KIB: usize = 64 << 10;
/// Entries of one group.
const MOST_ENTRIES: usize = 500;
/// Bytes of one group, or those of its only call.
const MOST_BYTES: usize = 2 << 20;
/// For a whole call, its wait for a lane included. The work ends before that.
const TIME_LIMIT: Duration = Duration::from_millis(4_400);
/// A call that has waited for so long is refused: nothing may be begun when its caller is about to give up.
const LONGEST_WAIT: Duration = Duration::from_millis(2_500);

/// What is done with a group of entries: in one transaction, so that they succeed or fail together.
#[async_trait]
pub(crate) trait Work: Send + Sync + 'static {
    type Entry: Send + 'static;
    type Answer: Send + 'static;
    type Error: Clone + From<Refusal> + Send + 'static;

    /// Groups on their way at once: while one commits the next is put together and sent.
    const LANES: usize = 2;

    /// Answers in the order of the entries, before the deadline.
    async fn work(&self, entries: Vec<Self::Entry>, deadline: Instant) -> Result<Vec<Self::Answer>, Self::Error>;
}

/// Why a call was not, or not in time, part of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Too much waits, or it has waited for too long. Nothing was begun.
    Full,
    /// Nobody works any more.
    Closed,
    /// No answer in time.
    TimedOut,
}

struct Call<W: Work> {
    entries: Vec<W::Entry>,
    size_bytes: usize,
    begun: Instant,
    caller: oneshot::Sender<Result<Vec<W::Answer>, W::Error>>,
    _room: OwnedSemaphorePermit,
}

/// Where callers hand over. What is behind it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Gatherer<W: Work> {
    inbox: mpsc::Sender<Call<W>>,
    room: Arc<Semaphore>,
    work: PhantomData<W>,
}

impl<W: Work> Gatherer<W> {
    /// The future does what comes in, and is to be spawned.
    pub(crate) fn new(work: W) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (inbox, calls) = mpsc::channel(WAITING_CALLS);
        let gatherer = Self { inbox, room: Arc::new(Semaphore::new(WAITING_KIB)), work: PhantomData };
        (gatherer, run(calls, Arc::new(work)))
    }

    /// Answers when the entries' transaction is on disk. A caller that leaves takes along what is not on its way.
    pub(crate) async fn call(&self, entries: Vec<W::Entry>, size_bytes: usize) -> Result<Vec<W::Answer>, W::Error> {
        let kib = u32::try_from(size_bytes / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib).map_err(|_| Refusal::Full)?;
        let (caller, answer) = oneshot::channel();
        let call = Call { entries, size_bytes, begun: Instant::now(), caller, _room: room };
        self.inbox.try_send(call).map_err(|_| if self.inbox.is_closed() { Refusal::Closed } else { Refusal::Full })?;
        match timeout(TIME_LIMIT, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(Refusal::Closed.into())),
            Err(_) => Err(Refusal::TimedOut.into()),
        }
    }
}

async fn run<W: Work>(mut calls: mpsc::Receiver<Call<W>>, work: Arc<W>) {
    let mut lanes = JoinSet::new();
    let mut first = None;
    loop {
        if first.is_none() {
            first = calls.recv().await;
        }
        let Some(call) = first.take() else { break };
        while lanes.len() >= W::LANES {
            lanes.join_next().await;
        }
        // Those who were just answered most likely ask again: let them.
        tokio::task::yield_now().await;
        let group;
        (group, first) = gather(call, &mut calls);
        if !group.is_empty() {
            lanes.spawn(finish(Arc::clone(&work), group));
        }
        while lanes.try_join_next().is_some() {}
    }
    lanes.join_all().await;
}

/// What waits, up to the limits; and the first of the next group. Whoever has left is left out.
fn gather<W: Work>(first: Call<W>, calls: &mut mpsc::Receiver<Call<W>>) -> (Vec<Call<W>>, Option<Call<W>>) {
    let (mut group, mut entries, mut size_bytes) = (Vec::new(), 0, 0);
    let mut next = Some(first);
    while let Some(call) = next.take().or_else(|| calls.try_recv().ok()) {
        if call.caller.is_closed() {
            continue;
        }
        if call.begun.elapsed() > LONGEST_WAIT {
            let _gone = call.caller.send(Err(Refusal::Full.into()));
            continue;
        }
        let fits = entries + call.entries.len() <= MOST_ENTRIES && size_bytes + call.size_bytes <= MOST_BYTES;
        if !fits && !group.is_empty() {
            return (group, Some(call));
        }
        entries += call.entries.len();
        size_bytes += call.size_bytes;
        group.push(call);
    }
    (group, None)
}

async fn finish<W: Work>(work: Arc<W>, group: Vec<Call<W>>) {
    let mut entries = Vec::new();
    let mut callers = Vec::new();
    let mut oldest = Instant::now();
    for call in group {
        oldest = oldest.min(call.begun);
        callers.push((call.caller, call.entries.len(), call._room));
        entries.extend(call.entries);
    }
    let mut answers = work.work(entries, oldest + CALL_TIMEOUT).await.map(Vec::into_iter);
    for (caller, count, _room) in callers {
        let own = match &mut answers {
            Ok(answers) => Ok(answers.by_ref().take(count).collect()),
            Err(error) => Err(error.clone()),
        };
        // Whoever has left gets no answer.
        let _gone = caller.send(own);
    }
}
