//! The queue in memory: for tests and for `QUEUE_URL=memory:`. It forgets at the end of the process and is otherwise
//! as strict as the real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::ids::Ids;
use crate::ports::lease::Lease;
use crate::ports::long_poll::LongPoll;
use crate::ports::queue::{
    DeadLetter, DeadLetterSummary, DeadLetters, MAX_VISIBILITY, Message, MessageId, NewMessage, Queue, QueueError,
    QueueStats, Receipt, Receive, validate_batch, validate_batch_len, validate_visibility,
};

/// A queue that lives and dies with the process.
pub struct MemoryQueue {
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    max_receive_count: u32,
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    next_seq: i64,
    entries: BTreeMap<i64, Entry>,
    /// Every entry by the time at which it can be received.
    due: BTreeSet<(Timestamp, i64)>,
    /// In the order in which they died; the number is the place they had on the main queue.
    dead: Vec<(i64, DeadLetter)>,
    unavailable: bool,
}

struct Entry {
    sent: Sent,
    due_at: Timestamp,
    /// The last delivery; it can still be deleted after its visibility ran out, until there is another.
    delivery: Option<Delivery>,
    receive_count: u32,
}

#[derive(Clone)]
struct Sent {
    id: MessageId,
    message: NewMessage,
    at: Timestamp,
}

#[derive(Clone, Copy)]
struct Delivery {
    nonce: u64,
    received_at: Timestamp,
}

impl MemoryQueue {
    /// An empty queue. A message is delivered at most `max_receive_count` times, at least once.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<Ids>, max_receive_count: u32) -> Arc<Self> {
        let (changes, _) = watch::channel(());
        let max_receive_count = max_receive_count.max(1);
        Arc::new(Self { clock, ids, max_receive_count, state: Mutex::default(), changes })
    }

    /// Makes every call fail as unavailable, or work again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).unavailable = unavailable;
        self.changes.send_replace(());
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, QueueError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.unavailable {
            return Err(QueueError::Unavailable("switched off".into()));
        }
        Ok(state)
    }

    /// One look of a receive: what it takes, or how long until there may be something.
    fn take(&self, request: Receive) -> Result<Result<Vec<Message>, Option<Duration>>, QueueError> {
        let now = self.clock.now();
        let mut state = self.open()?;
        let (picked, spent) = state.ready(now, request.max, self.max_receive_count);
        for seq in spent {
            let reason = format!("delivered {} times and never deleted", self.max_receive_count);
            state.bury(seq, reason, now);
        }
        let due_at = later(now, request.visibility);
        let deliver = |seq| {
            let delivery = Delivery { nonce: self.ids.trace().1, received_at: now };
            state.deliver(seq, delivery, due_at)
        };
        let messages: Vec<Message> = picked.into_iter().filter_map(deliver).collect();
        if messages.is_empty() { Ok(Err(state.next_due(now))) } else { Ok(Ok(messages)) }
    }

    /// Runs `act` for each receipt under one lock.
    fn for_each(
        &self,
        receipts: &[Receipt],
        mut act: impl FnMut(&mut State, Lease) -> Result<(), QueueError>,
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_batch_len(receipts.len())?;
        let mut state = self.open()?;
        Ok(receipts.iter().map(|receipt| act(&mut state, Lease::from_receipt(receipt)?)).collect())
    }
}

impl State {
    fn insert(&mut self, sent: Sent, due_at: Timestamp) {
        self.next_seq += 1;
        self.put(self.next_seq, Entry { sent, due_at, delivery: None, receive_count: 0 });
    }

    fn put(&mut self, seq: i64, entry: Entry) {
        self.due.insert((entry.due_at, seq));
        self.entries.insert(seq, entry);
    }

    fn remove(&mut self, seq: i64) -> Option<Entry> {
        let entry = self.entries.remove(&seq)?;
        self.due.remove(&(entry.due_at, seq));
        Some(entry)
    }

    fn set_due(&mut self, seq: i64, due_at: Timestamp) {
        if let Some(entry) = self.entries.get_mut(&seq) {
            self.due.remove(&(entry.due_at, seq));
            entry.due_at = due_at;
            self.due.insert((due_at, seq));
        }
    }

    /// The visible messages, oldest first: those to deliver, and those that were delivered often enough.
    fn ready(&self, now: Timestamp, max: usize, max_receive_count: u32) -> (Vec<i64>, Vec<i64>) {
        let (mut picked, mut spent) = (Vec::new(), Vec::new());
        for &(due_at, seq) in &self.due {
            if due_at > now || picked.len() == max {
                break;
            }
            let is_spent = self.entries.get(&seq).is_some_and(|entry| entry.receive_count >= max_receive_count);
            if is_spent { spent.push(seq) } else { picked.push(seq) }
        }
        (picked, spent)
    }

    fn deliver(&mut self, seq: i64, delivery: Delivery, due_at: Timestamp) -> Option<Message> {
        self.set_due(seq, due_at);
        let entry = self.entries.get_mut(&seq)?;
        entry.receive_count += 1;
        entry.delivery = Some(delivery);
        Some(Message {
            id: entry.sent.id.clone(),
            receipt: Lease { seq, nonce: delivery.nonce }.receipt(),
            body: entry.sent.message.body.clone(),
            attributes: entry.sent.message.attributes.clone(),
            sent_at: entry.sent.at,
            receive_count: entry.receive_count,
        })
    }

    fn next_due(&self, now: Timestamp) -> Option<Duration> {
        let (due_at, _) = self.due.first()?;
        Some(Duration::try_from(due_at.duration_since(now)).unwrap_or_default())
    }

    /// The entry whose present delivery this is.
    fn held(&mut self, lease: Lease) -> Result<(&mut Entry, Delivery), QueueError> {
        let entry = self.entries.get_mut(&lease.seq).ok_or(QueueError::StaleReceipt)?;
        let delivery = entry.delivery.filter(|delivery| delivery.nonce == lease.nonce);
        delivery.map(|delivery| (entry, delivery)).ok_or(QueueError::StaleReceipt)
    }

    fn delete(&mut self, lease: Lease) -> Result<(), QueueError> {
        if self.entries.contains_key(&lease.seq) {
            self.held(lease)?;
            self.remove(lease.seq);
        }
        Ok(())
    }

    fn hide(&mut self, lease: Lease, now: Timestamp, visibility: Duration) -> Result<(), QueueError> {
        let (_, delivery) = self.held(lease)?;
        let due_at = later(now, visibility);
        if due_at > later(delivery.received_at, MAX_VISIBILITY) {
            return Err(QueueError::Invalid(format!("hidden for more than {MAX_VISIBILITY:?} since the receive")));
        }
        self.set_due(lease.seq, due_at);
        Ok(())
    }

    /// Ends the receipt: between two attempts nobody holds the message.
    fn retry(&mut self, lease: Lease, now: Timestamp, pause: Duration) -> Result<(), QueueError> {
        self.hide(lease, now, pause)?;
        self.held(lease)?.0.delivery = None;
        Ok(())
    }

    /// Ends the receipt: a second release must not uncount twice.
    fn release(&mut self, lease: Lease, now: Timestamp, pause: Duration) -> Result<(), QueueError> {
        self.retry(lease, now, pause)?;
        let Some(entry) = self.entries.get_mut(&lease.seq) else { return Ok(()) };
        entry.receive_count -= 1;
        if pause.is_zero() {
            let own_place = entry.sent.at.min(now);
            self.set_due(lease.seq, own_place);
        }
        Ok(())
    }

    fn bury(&mut self, seq: i64, reason: String, now: Timestamp) {
        let Some(entry) = self.remove(seq) else { return };
        let letter = DeadLetter {
            id: entry.sent.id,
            body: entry.sent.message.body,
            attributes: entry.sent.message.attributes,
            sent_at: entry.sent.at,
            receive_count: entry.receive_count,
            reason,
            dead_at: now,
        };
        self.dead.push((seq, letter));
    }

    fn take_dead(&mut self, which: &DeadLetters) -> Vec<(i64, DeadLetter)> {
        let is_wanted = |letter: &DeadLetter| match which {
            DeadLetters::All => true,
            DeadLetters::Ids(ids) => ids.contains(&letter.id),
        };
        let (wanted, kept) = std::mem::take(&mut self.dead).into_iter().partition(|(_, letter)| is_wanted(letter));
        self.dead = kept;
        wanted
    }

    fn redrive(&mut self, which: &DeadLetters, now: Timestamp) -> u64 {
        let wanted = self.take_dead(which);
        let redriven = count(wanted.len());
        for (seq, letter) in wanted {
            let message = NewMessage::new(letter.body, letter.attributes);
            let sent = Sent { id: letter.id, message, at: letter.sent_at };
            self.put(seq, Entry { sent, due_at: now, delivery: None, receive_count: 0 });
        }
        redriven
    }

    fn stats(&self, now: Timestamp) -> QueueStats {
        let hidden = || self.entries.values().filter(|entry| entry.due_at > now);
        let in_flight = count(hidden().filter(|entry| entry.delivery.is_some()).count());
        let delayed = count(hidden().count()) - in_flight;
        let oldest = self.entries.values().map(|entry| entry.sent.at).min();
        QueueStats {
            visible: count(self.entries.len()) - in_flight - delayed,
            in_flight,
            delayed,
            dead: Some(count(self.dead.len())),
            oldest_age_seconds: oldest.map(|at| u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0)),
        }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn send_batch(&self, messages: Vec<NewMessage>) -> Result<Vec<Result<MessageId, QueueError>>, QueueError> {
        validate_batch(&messages)?;
        let now = self.clock.now();
        let mut state = self.open()?;
        let mut send = |message: NewMessage| {
            message.validate()?;
            let id = MessageId(self.ids.uuid().to_string());
            let due_at = later(now, message.delay);
            state.insert(Sent { id: id.clone(), message, at: now }, due_at);
            Ok(id)
        };
        let answers = messages.into_iter().map(&mut send).collect();
        drop(state);
        self.changes.send_replace(());
        Ok(answers)
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Message>, QueueError> {
        request.validate()?;
        let mut poll = LongPoll::start(self.changes.subscribe(), request.wait);
        loop {
            poll.look();
            match self.take(request)? {
                Ok(messages) => return Ok(messages),
                Err(next_due) if poll.nap(next_due).await => {}
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        self.for_each(receipts, State::delete)
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(visibility)?;
        let now = self.clock.now();
        let answers = self.for_each(receipts, |state, lease| state.hide(lease, now, visibility))?;
        self.changes.send_replace(());
        Ok(answers)
    }

    async fn release(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(pause)?;
        let now = self.clock.now();
        let answers = self.for_each(receipts, |state, lease| state.release(lease, now, pause))?;
        self.changes.send_replace(());
        Ok(answers)
    }

    async fn retry(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(pause)?;
        let now = self.clock.now();
        let answers = self.for_each(receipts, |state, lease| state.retry(lease, now, pause))?;
        self.changes.send_replace(());
        Ok(answers)
    }

    async fn dead_letter(&self, message: &Message, reason: &str) -> Result<(), QueueError> {
        let lease = Lease::from_receipt(&message.receipt)?;
        let mut state = self.open()?;
        state.held(lease)?;
        state.bury(lease.seq, reason.to_owned(), self.clock.now());
        Ok(())
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.open().map(drop)
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        Ok(self.open()?.stats(self.clock.now()))
    }

    async fn purge(&self) -> Result<u64, QueueError> {
        let mut state = self.open()?;
        state.due.clear();
        Ok(count(std::mem::take(&mut state.entries).len()))
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, QueueError> {
        Ok(self.open()?.dead.iter().take(limit).map(|(_, letter)| summary(letter)).collect())
    }

    async fn find_dead_letter(&self, id: &MessageId) -> Result<Option<DeadLetter>, QueueError> {
        Ok(self.open()?.dead.iter().map(|(_, letter)| letter).find(|letter| letter.id == *id).cloned())
    }

    async fn redrive(&self, which: DeadLetters) -> Result<u64, QueueError> {
        let redriven = self.open()?.redrive(&which, self.clock.now());
        self.changes.send_replace(());
        Ok(redriven)
    }

    async fn purge_dead_letters(&self, which: DeadLetters) -> Result<u64, QueueError> {
        Ok(count(self.open()?.take_dead(&which).len()))
    }
}

impl fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryQueue").field("max_receive_count", &self.max_receive_count).finish_non_exhaustive()
    }
}

/// Copies no body.
fn summary(letter: &DeadLetter) -> DeadLetterSummary {
    DeadLetterSummary {
        id: letter.id.clone(),
        size_bytes: count(letter.body.len()),
        attributes: letter.attributes.clone(),
        sent_at: letter.sent_at,
        receive_count: letter.receive_count,
        reason: letter.reason.clone(),
        dead_at: letter.dead_at,
    }
}

fn later(from: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| from.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

fn count(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}
