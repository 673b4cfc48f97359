//! What this process was handed, so that it knows by itself which of its receipts are stale.
//!
//! SQS may delete by the receipt of an earlier delivery, or say that it did and delete nothing: "You must provide the
//! most recently received `ReceiptHandle`". Source:
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chassis::ports::{MessageId, Receipt};

/// Deliveries that are remembered, the newest ones: more than a process can hold at once. Of older ones SQS is asked.
const REMEMBERED: usize = 16 * 1024;

/// What is known of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it may be right.
    Nothing,
    /// It is the newest of its message.
    Newest,
    /// Its message was delivered again, was handed back, or is in the dead-letter queue.
    Stale,
    /// Its message is deleted.
    Deleted,
}

/// Receipts and messages as hashes: a receipt has up to 1,024 bytes.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of each receipt its message.
    messages: HashMap<u64, u64>,
    /// Of each message its newest receipt, and what became of that.
    newest: HashMap<u64, (u64, Known)>,
    /// Receipts, the oldest first.
    order: VecDeque<u64>,
}

impl Deliveries {
    pub(super) fn delivered(&self, id: &MessageId, receipt: &Receipt) {
        let (id, receipt) = (self.hasher.hash_one(id), self.hasher.hash_one(receipt));
        let mut state = self.state();
        if state.messages.insert(receipt, id).is_none() {
            state.order.push_back(receipt);
        }
        state.newest.insert(id, (receipt, Known::Newest));
        while state.order.len() > REMEMBERED {
            state.forget_oldest();
        }
    }

    pub(super) fn deleted(&self, receipt: &Receipt) {
        self.became(receipt, Known::Deleted);
    }

    /// Its message goes on elsewhere: no receipt of it is good any more.
    pub(super) fn given_up(&self, receipt: &Receipt) {
        self.became(receipt, Known::Stale);
    }

    fn became(&self, receipt: &Receipt, known: Known) {
        let receipt = self.hasher.hash_one(receipt);
        let mut state = self.state();
        if let Some(id) = state.messages.get(&receipt).copied()
            && let Some(newest) = state.newest.get_mut(&id)
        {
            newest.1 = known;
        }
    }

    pub(super) fn look(&self, receipt: &Receipt) -> Known {
        let receipt = self.hasher.hash_one(receipt);
        let state = self.state();
        match state.messages.get(&receipt).and_then(|id| state.newest.get(id)) {
            None => Known::Nothing,
            Some((newest, Known::Newest)) if *newest != receipt => Known::Stale,
            Some((_, known)) => *known,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_oldest(&mut self) {
        let Some(receipt) = self.order.pop_front() else { return };
        let Some(id) = self.messages.remove(&receipt) else { return };
        if self.newest.get(&id).is_some_and(|(newest, _)| *newest == receipt) {
            self.newest.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(number: usize) -> Receipt {
        Receipt(number.to_string())
    }

    #[test]
    fn a_receipt_is_stale_once_its_message_came_again() {
        let deliveries = Deliveries::default();
        let (id, first, second) = (MessageId("m".into()), receipt(1), receipt(2));
        assert_eq!(deliveries.look(&first), Known::Nothing);
        deliveries.delivered(&id, &first);
        assert_eq!(deliveries.look(&first), Known::Newest);
        deliveries.delivered(&id, &second);
        assert_eq!([deliveries.look(&first), deliveries.look(&second)], [Known::Stale, Known::Newest]);
        deliveries.deleted(&second);
        assert_eq!([deliveries.look(&first), deliveries.look(&second)], [Known::Deleted; 2]);
        deliveries.delivered(&id, &receipt(3));
        deliveries.given_up(&receipt(3));
        assert_eq!(deliveries.look(&receipt(3)), Known::Stale);
    }

    #[test]
    fn the_newest_are_remembered_and_no_more() {
        let deliveries = Deliveries::default();
        let all = 4 * REMEMBERED;
        for number in 0..all {
            deliveries.delivered(&MessageId((number / 2).to_string()), &receipt(number));
        }
        let known = (0..all).filter(|number| deliveries.look(&receipt(*number)) != Known::Nothing).count();
        assert_eq!(known, REMEMBERED);
        assert_eq!(deliveries.look(&receipt(all - 1)), Known::Newest);
        let state = deliveries.state();
        assert!(state.newest.len() <= REMEMBERED && state.messages.len() == REMEMBERED);
    }
}
