//! The queue port, with the semantics of Amazon SQS standard queues.
//!
//! # Contract
//! * **Durable**: a send is acknowledged only when the message would survive a power cut.
//! * **At least once**: a received message is hidden for its visibility timeout and comes back unless it is
//!   deleted. Each delivery has a fresh [`Receipt`]; a receipt of an earlier delivery is stale and changes nothing. The
//!   last one still deletes after its visibility ran out, until the message is delivered again or handed back.
//! * **Order** is best effort, oldest first.
//! * **Counting**: `receive_count` is the number of deliveries, this one included. A message that would be delivered
//!   more often than the queue's maximum goes to the dead-letter queue instead. A delivery that was handed back by
//!   [`Queue::release`], or whose process died, does not count where the backend can tell (SQS cannot). One that was
//!   given up by [`Queue::retry`] counts for good: a restart neither forgets it nor shortens its pause.
//! * **Limits** are those of SQS wherever it runs: batches of [`MAX_BATCH`], [`MAX_MESSAGE_BYTES`] for body and
//!   attributes together (for a whole batch too), [`MAX_ATTRIBUTES`], [`MAX_WAIT`], [`MAX_VISIBILITY`], [`MAX_DELAY`].
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>

mod dead_letter;
mod limits;
mod message;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use dead_letter::{DeadLetter, DeadLetterSummary, DeadLetters};
pub use limits::{
    MAX_ATTRIBUTES, MAX_BATCH, MAX_DELAY, MAX_MESSAGE_BYTES, MAX_VISIBILITY, MAX_WAIT, validate_batch,
    validate_batch_len, validate_visibility,
};
pub use message::{Attributes, Message, MessageId, NewMessage, Receipt};

/// What a receive asks for.
#[derive(Debug, Clone, Copy)]
pub struct Receive {
    /// At most so many messages, 1 to [`MAX_BATCH`].
    pub max: usize,
    /// How long to wait for the first one, up to [`MAX_WAIT`]; zero answers at once.
    pub wait: Duration,
    /// How long the messages stay hidden from others, up to [`MAX_VISIBILITY`].
    pub visibility: Duration,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueStats {
    /// Ready to be received.
    pub visible: u64,
    /// Received and hidden.
    pub in_flight: u64,
    /// Not yet due: for their first delivery, or for the next one after the pause of a [`Queue::release`] or a
    /// [`Queue::retry`] (on SQS those are in flight).
    pub delayed: u64,
    /// In the dead-letter queue; `None` when this process may not ask.
    pub dead: Option<u64>,
    /// Age in seconds of the oldest message that is not deleted, hidden ones included; `None` when there is none.
    pub oldest_age_seconds: Option<u64>,
}

/// How a queue that is not our own differs from the contract, and what follows for those who work with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Profile {
    /// Deliveries that are handed back by [`Queue::release`] count: who can go on with a message should hold it instead.
    pub counts_releases: bool,
    /// A receipt of an earlier delivery may still work: who has outlived a lease must not use it.
    pub takes_stale_receipts: bool,
    /// Every call is paid for: polls are as long as they can be, and nobody looks more often than needed.
    pub is_metered: bool,
}

/// Why a queue did not do what was asked.
#[derive(Debug, Clone, Error)]
pub enum QueueError {
    /// Over [`MAX_MESSAGE_BYTES`], or over what this queue is set up to take.
    #[error(
        "the message has {size_bytes} bytes, and the queue takes {MAX_MESSAGE_BYTES} at most, or less if set up so"
    )]
    TooLarge {
        /// What was offered.
        size_bytes: usize,
    },
    /// The call itself is wrong; trying again does not help.
    #[error("invalid queue request: {0}")]
    Invalid(String),
    /// The message was delivered again, or is gone, since this receipt was given.
    #[error("the receipt is stale: the message was delivered again since")]
    StaleReceipt,
    /// The queue cannot be reached, or cannot write; trying again later may help.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// No answer in time; whether it was done is not known.
    #[error("the queue did not answer in time")]
    Timeout,
    /// Anything else.
    #[error("queue failure: {0}")]
    Other(String),
}

/// One queue with its dead-letter queue. The module's documentation is the contract.
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync + 'static {
    /// Sends up to [`MAX_BATCH`] messages. The outer error concerns the whole batch, an inner one its entry; answers
    /// come in the order of the messages, each after its message is durable. Dropping the future sends nothing that was
    /// not yet on its way.
    async fn send_batch(&self, messages: Vec<NewMessage>) -> Result<Vec<Result<MessageId, QueueError>>, QueueError>;

    /// Sends one message.
    async fn send(&self, message: NewMessage) -> Result<MessageId, QueueError> {
        let mut answers = self.send_batch(vec![message]).await?;
        answers.pop().unwrap_or_else(|| Err(QueueError::Other("the queue gave no answer for the message".into())))
    }

    /// Takes up to `max` visible messages, oldest first. Waits up to `wait` while there is none and wakes at once
    /// when one is sent, released or falls due. Dropping the future hands nothing out.
    async fn receive(&self, request: Receive) -> Result<Vec<Message>, QueueError>;

    /// Deletes deliveries for good; answers in order. A message that is already deleted counts as deleted, one that
    /// was delivered again gives [`QueueError::StaleReceipt`] and stays.
    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Result<(), QueueError>>, QueueError>;

    /// Goes on holding deliveries, hidden for `visibility` from now; zero makes them visible at once. They stay counted.
    /// [`QueueError::Invalid`] when that would hide one for longer than [`MAX_VISIBILITY`] since it was received.
    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Result<(), QueueError>>, QueueError>;

    /// Hands deliveries back unworked, not counted where the backend can. Ends the receipts. Without a pause they are
    /// visible at once and have their place again; with one they are visible after it, behind what was due before.
    /// The limits are those of [`Queue::change_visibility`].
    async fn release(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError>;

    /// Gives up deliveries that failed: counted, and visible again after `pause`. Ends the receipts where the backend
    /// can. The limits are those of [`Queue::change_visibility`].
    async fn retry(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError>;

    /// Moves one delivery to the dead-letter queue, with the reason. By its receipt where the backend keeps the message;
    /// SQS does not, and is sent it anew.
    async fn dead_letter(&self, message: &Message, reason: &str) -> Result<(), QueueError>;

    /// How the queue differs from the contract; not at all unless it says so.
    fn profile(&self) -> Profile {
        Profile::default()
    }

    /// How often the queue itself lets a message be delivered, where that is its own rule and not the configuration's.
    async fn max_receive_count(&self) -> Result<Option<u32>, QueueError> {
        Ok(None)
    }

    /// Whether the queue can be reached; read-only, bounded by the caller.
    async fn ping(&self) -> Result<(), QueueError>;

    /// How full it is.
    async fn stats(&self) -> Result<QueueStats, QueueError>;

    /// Deletes every message of the main queue, hidden ones too; answers how many.
    async fn purge(&self) -> Result<u64, QueueError>;

    /// Up to `limit` dead letters without their bodies, the oldest death first.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, QueueError>;

    /// One dead letter, with its body.
    async fn find_dead_letter(&self, id: &MessageId) -> Result<Option<DeadLetter>, QueueError>;

    /// Sends dead letters back to the main queue with their id, attributes and time of sending, their count at zero;
    /// answers how many.
    async fn redrive(&self, which: DeadLetters) -> Result<u64, QueueError>;

    /// Deletes dead letters for good; answers how many.
    async fn purge_dead_letters(&self, which: DeadLetters) -> Result<u64, QueueError>;
}
