//! What this process was handed, so that it knows by itself which of its receipts are stale.
//!
//! SQS may delete by the receipt of an earlier delivery, or say that it did and delete nothing: "You must provide the
//! most recently received `ReceiptHandle`". Source:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>

use std::hash::{BuildHasher, RandomState};

use chassis::ports::{MessageId, Receipt};
use quick_cache::sync::Cache;

/// Deliveries that are remembered; of what is older SQS is asked. More than a process can hold at once.
const REMEMBERED: usize = 16 * 1024;

/// What is known of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it may be right.
    Nothing,
    /// It is the newest of its message.
    Newest,
    /// Its message was delivered again, or is in the dead-letter queue.
    Stale,
    /// Its message is deleted.
    Deleted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Latest {
    Receipt(u64),
    Deleted,
    Elsewhere,
}

/// Receipts and messages as hashes: a receipt has up to 1,024 bytes.
#[derive(Debug)]
pub(super) struct Deliveries {
    hasher: RandomState,
    messages: Cache<u64, u64>,
    latest: Cache<u64, Latest>,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self { hasher: RandomState::new(), messages: Cache::new(REMEMBERED), latest: Cache::new(REMEMBERED) }
    }
}

impl Deliveries {
    pub(super) fn delivered(&self, id: &MessageId, receipt: &Receipt) {
        let (id, receipt) = (self.hasher.hash_one(id), self.hasher.hash_one(receipt));
        self.messages.insert(receipt, id);
        self.latest.insert(id, Latest::Receipt(receipt));
    }

    pub(super) fn deleted(&self, receipt: &Receipt) {
        if let Some(id) = self.messages.get(&self.hasher.hash_one(receipt)) {
            self.latest.insert(id, Latest::Deleted);
        }
    }

    /// Its message goes on elsewhere: no receipt of it is good any more.
    pub(super) fn given_up(&self, receipt: &Receipt) {
        if let Some(id) = self.messages.get(&self.hasher.hash_one(receipt)) {
            self.latest.insert(id, Latest::Elsewhere);
        }
    }

    pub(super) fn look(&self, receipt: &Receipt) -> Known {
        let receipt = self.hasher.hash_one(receipt);
        match self.messages.get(&receipt).and_then(|id| self.latest.get(&id)) {
            None => Known::Nothing,
            Some(Latest::Deleted) => Known::Deleted,
            Some(Latest::Receipt(latest)) if latest == receipt => Known::Newest,
            Some(Latest::Receipt(_) | Latest::Elsewhere) => Known::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_stale_once_its_message_came_again() {
        let deliveries = Deliveries::default();
        let (id, first, second) = (MessageId("m".into()), Receipt("1".into()), Receipt("2".into()));
        assert_eq!(deliveries.look(&first), Known::Nothing);
        deliveries.delivered(&id, &first);
        assert_eq!(deliveries.look(&first), Known::Newest);
        deliveries.delivered(&id, &second);
        assert_eq!([deliveries.look(&first), deliveries.look(&second)], [Known::Stale, Known::Newest]);
        deliveries.deleted(&second);
        assert_eq!([deliveries.look(&first), deliveries.look(&second)], [Known::Deleted; 2]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let deliveries = Deliveries::default();
        for number in 0..4 * REMEMBERED {
            deliveries.delivered(&MessageId(number.to_string()), &Receipt(number.to_string()));
        }
        assert!(deliveries.messages.len() <= 2 * REMEMBERED);
    }
}
