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

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Entries in one send, receive, delete or visibility call.
pub const MAX_BATCH: usize = 10;
/// Bytes of body plus attribute names, types and values, of one message and of one batch: 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Attributes of one message.
pub const MAX_ATTRIBUTES: usize = 10;
/// The longest long poll.
pub const MAX_WAIT: Duration = Duration::from_secs(20);
/// The longest visibility timeout, counted from the receive.
pub const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);
/// The longest delay of a message's first delivery.
pub const MAX_DELAY: Duration = Duration::from_secs(15 * 60);

/// SQS counts the type name `String` of each attribute.
const ATTRIBUTE_TYPE_BYTES: usize = "String".len();

/// String attributes that travel beside the body.
pub type Attributes = BTreeMap<String, String>;

/// The queue's name for a message, the same on every delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub String);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to delete or hold one delivery of a message. Goes stale when the message is delivered again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// A message to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The text of the message.
    pub body: String,
    /// At most [`MAX_ATTRIBUTES`], with non-empty names and values.
    pub attributes: Attributes,
    /// How long the first delivery waits, up to [`MAX_DELAY`].
    pub delay: Duration,
}

impl NewMessage {
    /// A message without delay.
    #[must_use]
    pub fn new(body: impl Into<String>, attributes: Attributes) -> Self {
        Self { body: body.into(), attributes, delay: Duration::ZERO }
    }

    /// What counts against [`MAX_MESSAGE_BYTES`].
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let attribute = |(name, value): (&String, &String)| name.len() + ATTRIBUTE_TYPE_BYTES + value.len();
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// Checks the limits that hold for every backend.
    ///
    /// # Errors
    /// [`QueueError::TooLarge`] or [`QueueError::Invalid`].
    pub fn validate(&self) -> Result<(), QueueError> {
        let size_bytes = self.size_bytes();
        if size_bytes > MAX_MESSAGE_BYTES {
            return Err(QueueError::TooLarge { size_bytes });
        }
        if self.body.is_empty() {
            return Err(QueueError::Invalid("the body is empty".into()));
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            let found = self.attributes.len();
            return Err(QueueError::Invalid(format!("{found} attributes, the limit is {MAX_ATTRIBUTES}")));
        }
        if let Some((name, _)) = self.attributes.iter().find(|(name, value)| name.is_empty() || value.is_empty()) {
            return Err(QueueError::Invalid(format!("attribute `{name}` has an empty name or value")));
        }
        if self.delay > MAX_DELAY {
            return Err(QueueError::Invalid(format!("a delay of {:?}, the limit is {MAX_DELAY:?}", self.delay)));
        }
        Ok(())
    }
}

/// Like all of these, shows how much there is and nothing of it: what people wrote must not get into logs.
impl fmt::Debug for NewMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { body, attributes, delay } = self;
        f.debug_struct("NewMessage")
            .field("body_bytes", &body.len())
            .field("attributes", &attributes.len())
            .field("delay", delay)
            .finish()
    }
}

/// Checks the limits of a whole batch: its length and the sum of its sizes.
///
/// # Errors
/// [`QueueError::TooLarge`] or [`QueueError::Invalid`].
pub fn validate_batch(messages: &[NewMessage]) -> Result<(), QueueError> {
    validate_batch_len(messages.len())?;
    let size_bytes = messages.iter().map(NewMessage::size_bytes).sum();
    if size_bytes > MAX_MESSAGE_BYTES && messages.len() > 1 {
        return Err(QueueError::TooLarge { size_bytes });
    }
    Ok(())
}

/// Checks that a batch has between one and [`MAX_BATCH`] entries.
///
/// # Errors
/// [`QueueError::Invalid`].
pub fn validate_batch_len(entries: usize) -> Result<(), QueueError> {
    if (1..=MAX_BATCH).contains(&entries) {
        return Ok(());
    }
    Err(QueueError::Invalid(format!("a batch of {entries} entries, expected 1 to {MAX_BATCH}")))
}

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

impl Receive {
    /// Checks the limits that hold for every backend.
    ///
    /// # Errors
    /// [`QueueError::Invalid`].
    pub fn validate(&self) -> Result<(), QueueError> {
        validate_batch_len(self.max)?;
        if self.wait > MAX_WAIT {
            return Err(QueueError::Invalid(format!("a wait of {:?}, the limit is {MAX_WAIT:?}", self.wait)));
        }
        validate_visibility(self.visibility)
    }
}

/// Checks a visibility timeout.
///
/// # Errors
/// [`QueueError::Invalid`].
pub fn validate_visibility(visibility: Duration) -> Result<(), QueueError> {
    if visibility > MAX_VISIBILITY {
        return Err(QueueError::Invalid(format!("a visibility of {visibility:?}, the limit is {MAX_VISIBILITY:?}")));
    }
    Ok(())
}

/// A delivery.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The same on every delivery.
    pub id: MessageId,
    /// Of this delivery.
    pub receipt: Receipt,
    /// As sent.
    pub body: String,
    /// As sent.
    pub attributes: Attributes,
    /// When the queue took it.
    pub sent_at: Timestamp,
    /// Deliveries so far, this one included.
    pub receive_count: u32,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, receipt, body, attributes, sent_at, receive_count } = self;
        f.debug_struct("Message")
            .field("id", id)
            .field("receipt", receipt)
            .field("body_bytes", &body.len())
            .field("attributes", &attributes.len())
            .field("sent_at", sent_at)
            .field("receive_count", receive_count)
            .finish()
    }
}

/// A message that was given up on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// As it was on the main queue.
    pub id: MessageId,
    /// As sent.
    pub body: String,
    /// As sent.
    pub attributes: Attributes,
    /// When the main queue took it.
    pub sent_at: Timestamp,
    /// Deliveries until it was given up.
    pub receive_count: u32,
    /// Why, in words for an operator.
    pub reason: String,
    /// When it was given up.
    pub dead_at: Timestamp,
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, body, attributes, sent_at, receive_count, reason, dead_at } = self;
        f.debug_struct("DeadLetter")
            .field("id", id)
            .field("body_bytes", &body.len())
            .field("attributes", &attributes.len())
            .field("sent_at", sent_at)
            .field("receive_count", receive_count)
            .field("reason", reason)
            .field("dead_at", dead_at)
            .finish()
    }
}

/// A dead letter in a list: everything but the body, which may be long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterSummary {
    /// As it was on the main queue.
    pub id: MessageId,
    /// Of the body.
    pub size_bytes: u64,
    /// As sent.
    pub attributes: Attributes,
    /// When the main queue took it.
    pub sent_at: Timestamp,
    /// Deliveries until it was given up.
    pub receive_count: u32,
    /// Why, in words for an operator.
    pub reason: String,
    /// When it was given up.
    pub dead_at: Timestamp,
}

/// Which dead letters are to go: back to the main queue, or for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetters {
    /// Every one.
    All,
    /// These; ids that are not there are passed over.
    Ids(Vec<MessageId>),
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
