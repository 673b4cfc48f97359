//! A page of the outbox on its way to the sink: those of different entities at once, those of one in their order.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::Instant;
use tracing::{debug, warn};
use uuid::Uuid;

use super::held::{Held, Refusal};
use super::{Shared, Sink, SinkError};
use crate::ports::outbox::{Event, Position};
use crate::telemetry::correlation::{Scope, TraceContext, in_scope};

/// Events on their way at once.
const AT_ONCE: usize = 32;

/// Events of one entity, in their order.
type Chain = Vec<(Position, Event)>;

/// An event that was not taken.
type Failure = (Event, SinkError);

/// A page's way, which ends at this instant: no delivery begins later.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    pub(super) shared: &'a Shared,
    pub(super) sink: &'a dyn Sink,
    pub(super) until: Instant,
    /// The sink seems to take nothing at present.
    pub(super) stopped: AtomicBool,
}

/// What became of a page.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) positions: Vec<Position>,
    /// The first of each entity that was not taken.
    pub(super) failed: Vec<Failure>,
    /// Some were not tried.
    pub(super) is_cut_short: bool,
}

/// The events of those entities that do not wait. Once one of an entity waits, so does the rest of the round.
pub(super) fn chains(page: Vec<(Position, Event)>, held: &Held, waiting: &mut HashSet<Uuid>) -> Vec<Chain> {
    let now = Instant::now();
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    let mut chains: Vec<Chain> = Vec::new();
    for (position, event) in page {
        if waiting.contains(&event.entity) {
            continue;
        }
        if held.holds(&event, now) {
            waiting.insert(event.entity);
            continue;
        }
        let place = *places.entry(event.entity).or_insert(chains.len());
        match chains.get_mut(place) {
            Some(chain) => chain.push((position, event)),
            None => chains.push(vec![(position, event)]),
        }
    }
    chains
}

impl Delivery<'_> {
    /// Delivers chains until all are done, or the sink takes no more, or time is over.
    pub(super) async fn run(&self, chains: Vec<Chain>) -> Delivered {
        let ends = stream::iter(chains).map(|chain| self.deliver(chain));
        ends.buffer_unordered(AT_ONCE).fold(Delivered::default(), |all, one| async { all.and(one) }).await
    }

    async fn deliver(&self, chain: Chain) -> Delivered {
        let mut delivered = Delivered::default();
        for (position, event) in chain {
            if self.stopped.load(Ordering::Relaxed) || Instant::now() >= self.until {
                delivered.is_cut_short = true;
                break;
            }
            let outcome = in_scope(self.scope(&event), self.sink.deliver(&event)).await;
            self.shared.metrics.attempted(&outcome);
            match outcome {
                Ok(()) => {
                    self.shared.with_state(|state| state.held.release(&event));
                    delivered.positions.push(position);
                }
                Err(error) => {
                    self.stopped.fetch_or(matches!(error, SinkError::Unavailable(_)), Ordering::Relaxed);
                    delivered.failed.push((event, error));
                    break;
                }
            }
        }
        delivered
    }

    /// The work belongs to the request that caused the event.
    fn scope(&self, event: &Event) -> Scope {
        let (_, span_id) = self.shared.context.ids.trace();
        Scope {
            correlation_id: event.correlation_id.clone(),
            trace: event.trace.map(|trace| TraceContext { span_id, ..trace }),
            ..Scope::service(&self.shared.service)
        }
    }

    /// Notes what was not taken, and when it is tried again. Answers why the sink as a whole is at fault, where it is:
    /// it took nothing of all that was tried, or more is refused than can be kept apart. An event that fails while others
    /// arrive is at fault itself, though the sink may not have answered.
    pub(super) fn judge(&self, delivered: &Delivered) -> Option<String> {
        let is_alone = delivered.failed.len() == 1 && !self.stopped.load(Ordering::Relaxed);
        let is_of_all = delivered.positions.is_empty() && !is_alone;
        let mut trouble = None;
        for (event, error) in &delivered.failed {
            if is_of_all && matches!(error, SinkError::Unavailable(_)) {
                trouble = Some(error.to_string());
                continue;
            }
            let refusal = self.shared.with_state(|state| state.held.refuse(event, error.to_string()));
            self.tell(event, error, refusal);
            if is_of_all || refusal == Refusal::Forgotten {
                trouble.get_or_insert_with(|| error.to_string());
            }
        }
        trouble
    }

    fn tell(&self, event: &Event, error: &SinkError, refusal: Refusal) {
        let (id, event_type, name) = (event.id, &event.event_type, self.sink.name());
        if refusal == Refusal::First {
            warn!(event.id = %id, event.event_type = %event_type, cause = %error, "{name} did not take an event, which is tried again");
        } else {
            debug!(event.id = %id, event.event_type = %event_type, cause = %error, "{name} did not take an event");
        }
    }
}

impl Delivered {
    fn and(mut self, other: Self) -> Self {
        self.positions.extend(other.positions);
        self.failed.extend(other.failed);
        self.is_cut_short |= other.is_cut_short;
        self
    }
}
