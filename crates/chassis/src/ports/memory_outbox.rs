//! An outbox in memory: for tests, and for `memory:`, which forgets at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::outbox::{Event, MOST_COUNTED, Outbox, OutboxDepth, OutboxError, Position};

/// All events of a process.
#[derive(Debug, Default)]
pub struct MemoryOutbox(Mutex<Events>);

#[derive(Debug, Default)]
struct Events {
    waiting: BTreeMap<Position, Event>,
    last: i64,
    leader: Option<(Uuid, Instant)>,
}

impl MemoryOutbox {
    /// Adds an event at once, for stores in memory.
    pub fn push(&self, event: Event) {
        let mut events = self.lock();
        events.last += 1;
        let position = Position(events.last);
        events.waiting.insert(position, event);
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn record(&self, event: Event) -> Result<(), OutboxError> {
        self.push(event);
        Ok(())
    }

    async fn lead(&self, relay: Uuid, lease: Duration) -> Result<bool, OutboxError> {
        let now = Instant::now();
        let mut events = self.lock();
        let is_led_by_another = events.leader.is_some_and(|(leader, until)| leader != relay && until > now);
        if !is_led_by_another {
            events.leader = Some((relay, now + lease));
        }
        Ok(!is_led_by_another && !lease.is_zero())
    }

    async fn last(&self) -> Result<Position, OutboxError> {
        Ok(self.lock().waiting.keys().next_back().copied().unwrap_or(Position::START))
    }

    async fn read(&self, after: Position, last: Position, limit: usize) -> Result<Vec<(Position, Event)>, OutboxError> {
        if after >= last {
            return Ok(Vec::new());
        }
        let behind = Position(after.0.saturating_add(1));
        let events = self.lock();
        let page = events.waiting.range(behind..=last).take(limit);
        Ok(page.map(|(position, event)| (*position, event.clone())).collect())
    }

    async fn remove(&self, delivered: &[Position]) -> Result<(), OutboxError> {
        let mut events = self.lock();
        for position in delivered {
            events.waiting.remove(position);
        }
        Ok(())
    }

    async fn discard(&self, id: Uuid) -> Result<bool, OutboxError> {
        let mut events = self.lock();
        let before = events.waiting.len();
        events.waiting.retain(|_, event| event.id != id);
        Ok(events.waiting.len() < before)
    }

    async fn depth(&self) -> Result<OutboxDepth, OutboxError> {
        let events = self.lock();
        let oldest = events.waiting.values().next().map(|event| event.occurred_at);
        let waiting = u64::try_from(events.waiting.len()).unwrap_or(u64::MAX);
        Ok(OutboxDepth { events: waiting.min(MOST_COUNTED), oldest })
    }
}
