//! A page of the outbox on its way to the sink: those of different entities at once, those of one in their order.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use super::{Shared, Sink, SinkError};
use crate::ports::outbox::{Event, Position};
use crate::telemetry::correlation::{Scope, TraceContext, in_scope};

/// Events on their way at once.
const AT_ONCE: usize = 32;
/// No delivery of a page begins later, so that the lease outlives the page.
const PAGE_TIME: Duration = Duration::from_secs(3);

/// Events of one entity, in their order.
type Chain = Vec<(Position, Event)>;

/// What became of a page.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) positions: Vec<Position>,
    /// Each was refused its next event.
    pub(super) refused: Vec<Uuid>,
    /// Some were not tried: for this reason, or for want of time.
    pub(super) is_cut_short: bool,
    pub(super) trouble: Option<String>,
}

/// The events of those entities that are not skipped.
pub(super) fn chains(page: Vec<(Position, Event)>, skipped: &HashSet<Uuid>) -> Vec<Chain> {
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    let mut chains: Vec<Chain> = Vec::new();
    for (position, event) in page {
        if skipped.contains(&event.entity) {
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

/// Delivers chains until all are done, or the sink takes no more, or time is over.
pub(super) async fn deliver(shared: &Shared, sink: &dyn Sink, chains: Vec<Chain>) -> Delivered {
    let stop = AtomicBool::new(false);
    let until = Instant::now() + PAGE_TIME;
    let stop = &stop;
    let ends = stream::iter(chains).map(|chain| deliver_chain(shared, sink, chain, until, stop));
    ends.buffer_unordered(AT_ONCE).fold(Delivered::default(), |all, one| async { all.and(one) }).await
}

async fn deliver_chain(shared: &Shared, sink: &dyn Sink, chain: Chain, until: Instant, stop: &AtomicBool) -> Delivered {
    let mut delivered = Delivered::default();
    for (position, event) in chain {
        if stop.load(Ordering::Relaxed) || Instant::now() >= until {
            delivered.is_cut_short = true;
            break;
        }
        let outcome = in_scope(scope(shared, &event), attempt(shared, sink, &event)).await;
        match outcome {
            Ok(()) => {
                shared.with_state(|state| state.held.release(&event));
                delivered.positions.push(position);
            }
            Err(SinkError::Refused(reason)) => {
                shared.with_state(|state| state.held.refuse(&event, reason));
                delivered.refused.push(event.entity);
                break;
            }
            Err(SinkError::Unavailable(reason)) => {
                stop.store(true, Ordering::Relaxed);
                delivered.trouble = Some(reason);
                break;
            }
        }
    }
    delivered
}

async fn attempt(shared: &Shared, sink: &dyn Sink, event: &Event) -> Result<(), SinkError> {
    let outcome = sink.deliver(event).await;
    shared.metrics.attempted(&outcome);
    if let Err(SinkError::Refused(reason)) = &outcome {
        let (id, event_type) = (event.id, &event.event_type);
        warn!(event.id = %id, event.event_type = %event_type, cause = %reason, "{} refused an event", sink.name());
    }
    outcome
}

/// The work belongs to the request that caused the event.
fn scope(shared: &Shared, event: &Event) -> Scope {
    let (_, span_id) = shared.context.ids.trace();
    Scope {
        correlation_id: event.correlation_id.clone(),
        trace: event.trace.map(|trace| TraceContext { span_id, ..trace }),
        ..Scope::service(&shared.service)
    }
}

impl Delivered {
    fn and(mut self, other: Self) -> Self {
        self.positions.extend(other.positions);
        self.refused.extend(other.refused);
        self.is_cut_short |= other.is_cut_short;
        self.trouble = self.trouble.or(other.trouble);
        self
    }
}
