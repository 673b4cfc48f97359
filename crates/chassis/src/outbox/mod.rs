//! Tells others what happened: a change and its event commit together, and a relay delivers the event later.
//!
//! A room makes events with its [`Reporter`] and hands them to its store along with the change. The [`Relay`] reads
//! them from the [`Outbox`] and gives them to a [`Sink`], at least once and in the order of each entity. Requests never
//! wait for that. While the sink is down nothing is lost and nothing is counted against an event: the relay tries
//! again, more and more slowly. An event that the sink refuses holds back those of its own entity alone.

mod delivery;
mod held;
mod lead;
mod metrics;
mod relay;
mod reporter;
mod routes;
mod service_sink;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::Notify;

pub use self::relay::Relay;
pub use self::reporter::Reporter;
pub use self::service_sink::{EventRoute, ServiceSink};

use self::held::Held;
use self::metrics::OutboxMetrics;
use crate::ports::outbox::{Event, Outbox};
use crate::service::{Context, Service};

/// Why an event was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SinkError {
    /// The sink takes nothing at present, such as while it cannot be reached or does not know us. Any event would have
    /// fared the same.
    #[error("{0}")]
    Unavailable(String),
    /// It does not take this one.
    #[error("{0}")]
    Refused(String),
}

/// Where events go.
#[async_trait]
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Who takes them, such as `analytics-service`.
    fn name(&self) -> &'static str;

    /// Delivers one event, or fails within two seconds. It may have been delivered before: the sink knows it by its id.
    async fn deliver(&self, event: &Event) -> Result<(), SinkError>;

    /// Whether it can be reached; bounded in time.
    async fn ping(&self) -> Result<(), SinkError>;
}

/// What handlers, relay and operators see.
#[derive(Debug)]
struct Shared {
    service: Arc<str>,
    outbox: Arc<dyn Outbox>,
    /// Without one nothing is reported.
    sink: Option<Arc<dyn Sink>>,
    context: Context,
    metrics: OutboxMetrics,
    /// There are new events.
    woken: Notify,
    state: Mutex<State>,
}

/// What the relay knows at this moment.
#[derive(Debug, Default)]
struct State {
    leads: bool,
    /// Why nothing is delivered at present.
    trouble: Option<String>,
    held: Held,
}

impl Shared {
    fn with_state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The two ends of a service's outbox. Without a sink nothing is recorded, and what was recorded before stays.
#[must_use]
pub fn connect(
    service: &Service,
    context: &Context,
    outbox: Arc<dyn Outbox>,
    sink: Option<Arc<dyn Sink>>,
) -> (Reporter, Relay) {
    let shared = Arc::new(Shared {
        service: Arc::clone(service.name()),
        outbox,
        sink,
        context: context.clone(),
        metrics: OutboxMetrics::register(service.metrics()),
        woken: Notify::new(),
        state: Mutex::default(),
    });
    (Reporter::new(Arc::clone(&shared)), Relay::new(shared))
}
