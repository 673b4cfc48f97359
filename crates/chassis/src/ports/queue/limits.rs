//! What every queue takes at most: the limits of SQS.
//!
//! Source: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>

use std::time::Duration;

use super::{NewMessage, QueueError, Receive};

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
