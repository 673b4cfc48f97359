//! Entities whose next event was not taken: when it is tried again, and what waits behind it until then.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;
use uuid::Uuid;

use crate::ports::outbox::Event;

/// Entities that are kept apart. Those beyond are tried in every round.
const MOST_HELD: usize = 10_000;
/// The pause before an event that was refused is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Held(HashMap<Uuid, Refused>);

/// An event that was not taken.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) event: Uuid,
    pub(super) event_type: String,
    pub(super) attempts: u64,
    pub(super) reason: String,
    pub(super) retry_at: Instant,
    pauses: ExponentialBackoff,
}

/// How much is known of an event that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    First,
    Repeated,
    /// There are too many to remember it.
    Forgotten,
}

impl Held {
    /// Notes that an event was not taken, once more perhaps.
    pub(super) fn refuse(&mut self, event: &Event, reason: String) -> Refusal {
        let before = self.0.remove(&event.entity).filter(|before| before.event == event.id);
        if before.is_none() && self.0.len() >= MOST_HELD {
            return Refusal::Forgotten;
        }
        let refusal = if before.is_some() { Refusal::Repeated } else { Refusal::First };
        let mut refused = before.unwrap_or_else(|| Refused::new(event));
        refused.attempts += 1;
        refused.reason = reason;
        refused.retry_at = Instant::now() + refused.pauses.next().unwrap_or(LONGEST_PAUSE);
        self.0.insert(event.entity, refused);
        refusal
    }

    /// Notes that an event was delivered, after it was refused perhaps.
    pub(super) fn release(&mut self, event: &Event) {
        self.0.remove(&event.entity);
    }

    /// Whether this event, the first of its entity that is left, is not to be tried yet.
    pub(super) fn holds(&self, event: &Event, now: Instant) -> bool {
        self.0.get(&event.entity).is_some_and(|refused| refused.event == event.id && refused.retry_at > now)
    }

    /// Forgets all but these: whatever held the others is gone.
    pub(super) fn keep(&mut self, entities: &HashSet<Uuid>) {
        self.0.retain(|entity, _| entities.contains(entity));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Uuid, &Refused)> {
        self.0.iter()
    }
}

impl Refused {
    fn new(event: &Event) -> Self {
        Self {
            event: event.id,
            event_type: event.event_type.clone(),
            attempts: 0,
            reason: String::new(),
            retry_at: Instant::now(),
            pauses: pauses(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }
}

/// Pauses that double, each with up to as much again at random, without an end.
pub(super) fn pauses(first: Duration, longest: Duration) -> ExponentialBackoff {
    let pauses = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest);
    pauses.with_jitter().without_max_times().build()
}
