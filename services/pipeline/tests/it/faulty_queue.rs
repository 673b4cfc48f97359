//! A queue on which something happens before each delete, release and change of a visibility, and which may be at a
//! distance.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chassis::ports::{
    DeadLetter, DeadLetterSummary, DeadLetters, MemoryQueue, Message, MessageId, NewMessage, Profile, Queue,
    QueueError, QueueStats, Receipt, Receive,
};
use tokio::time::sleep;

type Answers<T> = Result<Vec<Result<T, QueueError>>, QueueError>;
type Hook = Box<dyn Fn(&Receipt) -> Result<(), QueueError> + Send + Sync>;

pub(crate) struct FaultyQueue {
    pub(crate) inner: Arc<MemoryQueue>,
    pub(crate) before_delete: Hook,
    pub(crate) before_extend: Hook,
    /// Before deletes and releases, and fails the whole batch.
    pub(crate) is_down: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) profile: Profile,
    /// How long an answer to a receive or a delete is on its way.
    pub(crate) way: Duration,
    pub(crate) receives: UnderWay,
    pub(crate) deletes: UnderWay,
}

/// Calls that are under way, and how many have been at most.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl UnderWay {
    async fn during<T>(&self, call: impl Future<Output = T>) -> T {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let answer = call.await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        answer
    }

    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl FaultyQueue {
    pub(crate) fn new(inner: &Arc<MemoryQueue>) -> Self {
        let ready = || -> Hook { Box::new(|_| Ok(())) };
        Self {
            inner: Arc::clone(inner),
            before_delete: ready(),
            before_extend: ready(),
            is_down: Box::new(|| false),
            profile: Profile::default(),
            way: Duration::ZERO,
            receives: UnderWay::default(),
            deletes: UnderWay::default(),
        }
    }

    fn look(&self) -> Result<(), QueueError> {
        if (self.is_down)() { Err(QueueError::Unavailable("switched off".into())) } else { Ok(()) }
    }
}

impl fmt::Debug for FaultyQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Queue for FaultyQueue {
    async fn delete(&self, receipts: &[Receipt]) -> Answers<()> {
        self.look()?;
        self.deletes.during(sleep(self.way)).await;
        let mut answers = Vec::new();
        for receipt in receipts {
            answers.push(match (self.before_delete)(receipt) {
                Ok(()) => self.inner.delete(std::slice::from_ref(receipt)).await?.remove(0),
                Err(error) => Err(error),
            });
        }
        Ok(answers)
    }

    async fn change_visibility(&self, receipts: &[Receipt], visibility: Duration) -> Answers<()> {
        for receipt in receipts {
            (self.before_extend)(receipt)?;
        }
        self.inner.change_visibility(receipts, visibility).await
    }

    async fn send_batch(&self, messages: Vec<NewMessage>) -> Answers<MessageId> {
        self.inner.send_batch(messages).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Message>, QueueError> {
        let received = async {
            let received = self.inner.receive(request).await;
            sleep(self.way).await;
            received
        };
        self.receives.during(received).await
    }

    async fn release(&self, receipts: &[Receipt], pause: Duration) -> Answers<()> {
        self.look()?;
        self.inner.release(receipts, pause).await
    }

    async fn retry(&self, receipts: &[Receipt], pause: Duration) -> Answers<()> {
        self.inner.retry(receipts, pause).await
    }

    async fn dead_letter(&self, message: &Message, reason: &str) -> Result<(), QueueError> {
        self.inner.dead_letter(message, reason).await
    }

    fn profile(&self) -> Profile {
        self.profile
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.inner.ping().await
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        self.inner.stats().await
    }

    async fn purge(&self) -> Result<u64, QueueError> {
        self.inner.purge().await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, QueueError> {
        self.inner.dead_letters(limit).await
    }

    async fn find_dead_letter(&self, id: &MessageId) -> Result<Option<DeadLetter>, QueueError> {
        self.inner.find_dead_letter(id).await
    }

    async fn redrive(&self, which: DeadLetters) -> Result<u64, QueueError> {
        self.inner.redrive(which).await
    }

    async fn purge_dead_letters(&self, which: DeadLetters) -> Result<u64, QueueError> {
        self.inner.purge_dead_letters(which).await
    }
}
