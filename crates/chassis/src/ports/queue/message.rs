//! Messages on their way in and out, and what names them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MAX_ATTRIBUTES, MAX_DELAY, MAX_MESSAGE_BYTES, QueueError};

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
