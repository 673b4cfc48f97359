//! The outbox port: events that were committed together with the change that they report, until they are delivered.
//!
//! A service's store writes a change and its [`Event`] in one transaction; the relay ([`crate::outbox`]) reads,
//! delivers and removes. Source: <https://microservices.io/patterns/data/transactional-outbox.html>
//!
//! # Contract
//! * **Durable**: an event that was recorded survives the end of the process, until it is removed.
//! * **In order**: of two events, the one whose change was committed before the other began has the lower
//!   [`Position`].
//! * **One relay**: of many processes that share an outbox, one at a time leads. Its time ends by itself when it dies.
//! * Texts and times come back as they were given, times to the microsecond.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

use crate::clock::Clock;
use crate::ids::Ids;
use crate::telemetry::correlation::{self, CorrelationId, TraceContext};

/// Something that happened, for others to be told. At least once: they know it again by its id.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// A UUIDv7, the same on every delivery.
    pub id: Uuid,
    /// What it happened to. Events of one entity are delivered in their order.
    pub entity: Uuid,
    /// Such as `user_login`: for those who look at the outbox.
    pub event_type: String,
    /// What is delivered, a JSON object.
    pub body: String,
    /// To the microsecond.
    pub occurred_at: Timestamp,
    /// Of the request that caused it.
    pub correlation_id: Option<CorrelationId>,
    /// Where that request stood in its trace.
    pub trace: Option<TraceContext>,
}

impl Event {
    /// An event of this moment and of the request at hand.
    #[must_use]
    pub fn now(ids: &Ids, clock: &dyn Clock, entity: Uuid, event_type: &str, body: String) -> Self {
        let now = clock.now();
        let scope = correlation::current();
        Self {
            id: ids.uuid(),
            entity,
            event_type: event_type.to_owned(),
            body,
            occurred_at: Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now),
            correlation_id: scope.as_ref().and_then(|scope| scope.correlation_id.clone()),
            trace: scope.and_then(|scope| scope.trace),
        }
    }
}

/// Nothing of the body: it may be personal.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("id", &self.id).field("event_type", &self.event_type).finish_non_exhaustive()
    }
}

/// Where an event stands in its outbox. Grows, with gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub i64);

impl Position {
    /// Before the first.
    pub const START: Self = Self(0);
}

/// Events that are counted at most: to count all of many millions would take as much as to deliver some.
pub const MOST_COUNTED: u64 = 100_001;

/// How full an outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxDepth {
    /// Events that wait, [`MOST_COUNTED`] when there are more.
    pub events: u64,
    /// When the first of them occurred.
    pub oldest: Option<Timestamp>,
}

/// Why an outbox did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OutboxError {
    /// It cannot be reached, or does not answer in time; trying again later may help.
    #[error("the outbox is unavailable: {0}")]
    Unavailable(String),
    /// A fault.
    #[error("outbox failure: {0}")]
    Other(String),
}

/// The events of one service. The module's documentation is the contract.
#[async_trait]
pub trait Outbox: fmt::Debug + Send + Sync + 'static {
    /// Records what comes with no change, such as a login. What comes with one is the business of the service's store.
    async fn record(&self, event: Event) -> Result<(), OutboxError>;

    /// Takes or keeps the lead for so long; a lease of zero gives it up. Tells whether `relay` leads now.
    async fn lead(&self, relay: Uuid, lease: Duration) -> Result<bool, OutboxError>;

    /// The position of the last event that is visible now; [`Position::START`] when there is none.
    async fn last(&self) -> Result<Position, OutboxError>;

    /// Reads some thousand events at most from behind a position to a last one, in their order.
    async fn read(&self, after: Position, last: Position, limit: usize) -> Result<Vec<(Position, Event)>, OutboxError>;

    /// Removes what was delivered. Positions that are not there are passed over.
    async fn remove(&self, delivered: &[Position]) -> Result<(), OutboxError>;

    /// Removes an event that nobody is to be told of any more; tells whether it was there.
    async fn discard(&self, id: Uuid) -> Result<bool, OutboxError>;

    /// Counts what waits.
    async fn depth(&self) -> Result<OutboxDepth, OutboxError>;
}
