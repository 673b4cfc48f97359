//! Events in memory: for tests, and for `memory:`, which forgets at the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::model::{Event, EventFilter, EventId, NewEvent};
use crate::store::{EventCounts, EventStore, Recorded, StoreError};

/// All events of a process.
#[derive(Debug, Default)]
pub struct MemoryEvents(Mutex<Events>);

#[derive(Debug, Default)]
struct Events {
    all: Vec<Event>,
    /// By the ids of their requests: what is needed to answer again.
    keys: HashMap<String, (EventId, String, String)>,
}

impl MemoryEvents {
    /// A store without events.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn applies(filter: &EventFilter, event: &Event) -> bool {
    let (first, end) = filter.bounds_micros();
    (first..end).contains(&event.created_at.as_microsecond())
        && filter.event_type.is_none_or(|wanted| wanted == event.event_type)
        && filter.user_id.as_ref().is_none_or(|wanted| event.user_id.as_ref() == Some(wanted))
}

#[async_trait]
impl EventStore for MemoryEvents {
    async fn record(&self, NewEvent { event, key }: NewEvent) -> Result<Recorded, StoreError> {
        let mut events = self.lock();
        if let Some(key) = key {
            if let Some((id, event_type, fingerprint)) = events.keys.get(&key.id).cloned() {
                return Ok(Recorded::Before { id, event_type, fingerprint });
            }
            events.keys.insert(key.id, (event.id, event.event_type.to_string(), key.fingerprint));
        }
        events.all.push(event);
        Ok(Recorded::Done)
    }

    async fn count(&self, filter: &EventFilter) -> Result<EventCounts, StoreError> {
        let mut counts = EventCounts::new();
        for event in self.lock().all.iter().filter(|event| applies(filter, event)) {
            *counts.entry(event.event_type.to_string()).or_default() += 1;
        }
        Ok(counts)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
