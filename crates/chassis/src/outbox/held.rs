//! Entities whose next event was refused: when it is tried again, and what waits behind it until then.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;
use uuid::Uuid;

use crate::ports::outbox::Event;

/// More than these the relay does not keep apart: then the sink as a whole is at fault.
pub(super) const MOST_HELD: usize = 10_000;
/// The pause before an event that was refused is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Held(HashMap<Uuid, Refused>);

/// An event that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) event: Uuid,
    pub(super) event_type: String,
    pub(super) attempts: u64,
    pub(super) reason: String,
    pub(super) retry_at: Instant,
    pauses: ExponentialBackoff,
}

impl Held {
    /// Notes that an event was refused, once more perhaps.
    pub(super) fn refuse(&mut self, event: &Event, reason: String) {
        let mut refused = match self.0.remove(&event.entity) {
            Some(before) if before.event == event.id => before,
            _ => Refused::new(event),
        };
        refused.attempts += 1;
        refused.reason = reason;
        refused.retry_at = Instant::now() + refused.pauses.next().unwrap_or(LONGEST_PAUSE);
        self.0.insert(event.entity, refused);
    }

    /// Notes that an event was delivered, after it was refused perhaps.
    pub(super) fn release(&mut self, event: &Event) {
        self.0.remove(&event.entity);
    }

    /// Those that are not tried at this moment.
    pub(super) fn entities(&self, now: Instant) -> HashSet<Uuid> {
        self.0.iter().filter(|(_, refused)| refused.retry_at > now).map(|(entity, _)| *entity).collect()
    }

    /// Forgets all but these: whatever held the others is gone.
    pub(super) fn keep(&mut self, entities: &HashSet<Uuid>) {
        self.0.retain(|entity, _| entities.contains(entity));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
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
