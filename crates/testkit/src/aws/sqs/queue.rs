//! One queue: what is visible, what is hidden and until when. No I/O; time comes in as an argument.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rand::Rng;
use tokio::sync::Notify;

use super::{Attributes, Content};
use crate::aws::clock::Millis;

#[derive(Debug)]
pub(crate) struct Queue {
    /// Written into receipt handles, so that those of another queue are known as wrong.
    number: u64,
    pub(crate) attributes: Attributes,
    pub(crate) created_at: Millis,
    pub(crate) modified_at: Millis,
    messages: HashMap<u64, Message>,
    visible: BTreeSet<u64>,
    hidden: BTreeSet<(Millis, u64)>,
    delayed: usize,
    next: u64,
    /// Woken whenever a message may have become visible earlier than was known.
    pub(crate) wake: Arc<Notify>,
}

/// A message and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) content: Arc<Content>,
    pub(crate) receive_count: u64,
    pub(crate) first_received_at: Option<Millis>,
    /// The queue that it came from, when the redrive policy has moved it.
    pub(crate) dead_letter_source: Option<String>,
    /// Counts receives in this queue; a receipt handle is good for one of them.
    receipt: u64,
    hidden: Option<Hidden>,
}

#[derive(Debug, Clone, Copy)]
struct Hidden {
    until: Millis,
    delayed: bool,
}

/// How a receive goes about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receiving {
    pub(crate) limit: usize,
    pub(crate) now: Millis,
    pub(crate) hidden_until: Millis,
    /// Leave the messages visible: a second delivery is on its way.
    pub(crate) twice: bool,
}

/// A message in the hands of a receiver.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Message,
    pub(crate) handle: String,
}

/// What a receipt handle stands for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// The newest receive of the message.
    Current(u64),
    /// An earlier receive: the message was delivered again since.
    Stale(u64),
    /// The message is gone.
    Gone,
    /// No handle of this queue.
    Invalid,
}

impl Message {
    pub(crate) fn new(content: Content) -> Self {
        Self {
            content: Arc::new(content),
            receive_count: 0,
            first_received_at: None,
            dead_letter_source: None,
            receipt: 0,
            hidden: None,
        }
    }

    /// Handed out, and neither deleted nor visible again.
    pub(crate) fn in_flight(&self) -> bool {
        self.hidden.is_some_and(|hidden| !hidden.delayed)
    }
}

impl Queue {
    pub(crate) fn new(number: u64, attributes: Attributes, now: Millis) -> Self {
        Self {
            number,
            attributes,
            created_at: now,
            modified_at: now,
            messages: HashMap::new(),
            visible: BTreeSet::new(),
            hidden: BTreeSet::new(),
            delayed: 0,
            next: 1,
            wake: Arc::default(),
        }
    }

    /// Takes a message in, visible at once or from a later time on.
    pub(crate) fn add(&mut self, mut message: Message, visible_at: Option<Millis>) {
        let key = self.next;
        self.next += 1;
        message.receipt = 0;
        message.hidden = visible_at.map(|until| Hidden { until, delayed: true });
        match visible_at {
            Some(until) => {
                self.delayed += 1;
                self.hidden.insert((until, key));
            }
            None => {
                self.visible.insert(key);
            }
        }
        self.messages.insert(key, message);
        self.wake.notify_waiters();
    }

    /// Hands out the oldest visible messages, or any of them when there is a generator. Those that were received too
    /// often come back apart, as taken out.
    pub(crate) fn receive(
        &mut self,
        receiving: Receiving,
        max_receive_count: u64,
        mut any_order: Option<&mut impl Rng>,
    ) -> (Vec<Delivery>, Vec<Message>) {
        self.settle(receiving.now);
        let (mut deliveries, mut dead, mut twice) = (Vec::new(), Vec::new(), Vec::new());
        while deliveries.len() < receiving.limit {
            let Some(key) = self.pick(any_order.as_deref_mut()) else { break };
            self.visible.remove(&key);
            let Some(message) = self.messages.get_mut(&key) else { continue };
            if message.receive_count >= max_receive_count {
                dead.extend(self.messages.remove(&key));
                continue;
            }
            message.receive_count += 1;
            message.receipt += 1;
            message.first_received_at.get_or_insert(receiving.now);
            let handle = handle(self.number, key, message.receipt);
            deliveries.push(Delivery { message: message.clone(), handle });
            if receiving.twice {
                twice.push(key);
            } else {
                message.hidden = Some(Hidden { until: receiving.hidden_until, delayed: false });
                self.hidden.insert((receiving.hidden_until, key));
            }
        }
        if !twice.is_empty() {
            self.visible.extend(twice);
            self.wake.notify_waiters();
        }
        (deliveries, dead)
    }

    fn pick(&self, any_order: Option<&mut impl Rng>) -> Option<u64> {
        match any_order {
            Some(rng) if !self.visible.is_empty() => {
                // A random place in a window: walking through a deep queue would make each receive slow.
                let place = rng.random_range(0..self.visible.len().min(1000));
                self.visible.iter().nth(place).copied()
            }
            _ => self.visible.first().copied(),
        }
    }

    /// Makes visible whatever has been hidden long enough.
    fn settle(&mut self, now: Millis) {
        while let Some(&(until, key)) = self.hidden.first() {
            if until > now {
                break;
            }
            self.show(key, until);
        }
    }

    fn show(&mut self, key: u64, until: Millis) {
        self.hidden.remove(&(until, key));
        let Some(message) = self.messages.get_mut(&key) else { return };
        if message.hidden.take().is_some_and(|hidden| hidden.delayed) {
            self.delayed -= 1;
        }
        self.visible.insert(key);
    }

    /// When the next hidden message becomes visible.
    pub(crate) fn next_visible_at(&self) -> Option<Millis> {
        self.hidden.first().map(|(until, _)| *until)
    }

    pub(crate) fn receipt(&self, handle: &str) -> Receipt {
        let Some([number, key, receipt]) = parse_handle(handle) else { return Receipt::Invalid };
        match self.messages.get(&key) {
            _ if number != self.number || key >= self.next => Receipt::Invalid,
            None => Receipt::Gone,
            Some(message) if message.receipt == receipt => Receipt::Current(key),
            Some(_) => Receipt::Stale(key),
        }
    }

    pub(crate) fn delete(&mut self, key: u64) {
        let Some(message) = self.messages.remove(&key) else { return };
        self.visible.remove(&key);
        if let Some(hidden) = message.hidden {
            self.hidden.remove(&(hidden.until, key));
            self.delayed -= usize::from(hidden.delayed);
        }
    }

    /// Hides a message that is in flight until another time; `false` when it is not in flight.
    pub(crate) fn hide(&mut self, key: u64, now: Millis, until: Millis) -> bool {
        self.settle(now);
        let Some(message) = self.messages.get_mut(&key).filter(|message| message.in_flight()) else { return false };
        let before = message.hidden.replace(Hidden { until, delayed: false });
        if let Some(before) = before {
            self.hidden.remove(&(before.until, key));
        }
        self.hidden.insert((until, key));
        self.wake.notify_waiters();
        true
    }

    pub(crate) fn clear(&mut self) -> Vec<Message> {
        self.visible.clear();
        self.hidden.clear();
        self.delayed = 0;
        let mut messages: Vec<_> = self.messages.drain().collect();
        messages.sort_unstable_by_key(|(key, _)| *key);
        messages.into_iter().map(|(_, message)| message).collect()
    }

    /// Every message, in the order of arrival.
    pub(crate) fn messages(&mut self, now: Millis) -> Vec<&Message> {
        self.settle(now);
        let mut messages: Vec<_> = self.messages.iter().collect();
        messages.sort_unstable_by_key(|(key, _)| **key);
        messages.into_iter().map(|(_, message)| message).collect()
    }

    /// How many are visible, in flight and delayed.
    pub(crate) fn counts(&mut self, now: Millis) -> [usize; 3] {
        self.settle(now);
        [self.visible.len(), self.hidden.len() - self.delayed, self.delayed]
    }
}

fn handle(queue: u64, key: u64, receipt: u64) -> String {
    format!("AQEB{queue:016x}{key:016x}{receipt:016x}")
}

fn parse_handle(handle: &str) -> Option<[u64; 3]> {
    let digits = handle.strip_prefix("AQEB").filter(|digits| digits.len() == 48 && digits.is_ascii())?;
    let number = |range| u64::from_str_radix(&digits[range], 16).ok();
    Some([number(0..16)?, number(16..32)?, number(32..48)?])
}
