//! Where events are kept: the port. Its adapters stand in `backends`; one for tests stands beside it.
//!
//! # Contract
//! * **Durable**: an event that was recorded survives the end of the process, and of the machine's power where the store
//!   is a disk.
//! * **Once**: of many events whose requests have one key, at once or one after the other, one is recorded, for ever.
//! * An event that was recorded is counted from then on.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use thiserror::Error;

use crate::model::{EventFilter, EventId, NewEvent};

/// How many events there are of each type that has any, by its name: a newer program may have written types that this one
/// does not know.
pub type EventCounts = BTreeMap<String, u64>;

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is there.
    Done,
    /// The request was done before.
    Before {
        /// The event of then.
        id: EventId,
        /// The name of its type.
        event_type: String,
        /// That of the request's body of then.
        fingerprint: String,
    },
}

/// Why a store did not do what was asked.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The store as a whole cannot be reached; trying again later may help.
    #[error("the store of events is unavailable: {0}")]
    Unavailable(String),
    /// No answer in time; whether a write was done is not known.
    #[error("the store of events did not answer in time")]
    Timeout,
    /// A fault.
    #[error("store failure: {0}")]
    Other(String),
}

/// All events. The module's documentation is the contract.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// Adds an event, unless one with its request's key is there.
    async fn record(&self, event: NewEvent) -> Result<Recorded, StoreError>;

    /// Counts events by their types, in memory that does not grow with them.
    async fn count(&self, filter: &EventFilter) -> Result<EventCounts, StoreError>;

    /// Whether the store can be reached; read-only, bounded by the caller.
    async fn ping(&self) -> Result<(), StoreError>;
}
