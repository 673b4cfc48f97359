//! Messages that were given up on.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attributes, MessageId};

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
