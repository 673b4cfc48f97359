//! Where orders are kept: the port. Its adapters stand in `backends`; one for tests stands beside it.
//!
//! # Contract
//! * **Durable**: a write that was answered survives the end of the process, and of the machine's power where the
//!   store is a disk.
//! * **Reported**: the event of a change is in the outbox once the change is done, and only then; both or none.
//! * **Once**: of many creates whose answers have one id, at once or one after the other, one is done, until that answer
//!   is forgotten.
//! * **Versions**: a write that names the version it knows changes nothing when there is another. So of many changes of
//!   one version, one is done.
//! * Texts, amounts and times come back as they were given, times to the microsecond.

use std::fmt;

use async_trait::async_trait;
use chassis::http::{Page, RequestKey, StoredAnswer};
use chassis::ports::Event;
use jiff::Timestamp;
use thiserror::Error;

use crate::model::{NewOrder, Order, OrderId, OrderStatus, UserId, Version};

/// What became of a write that needs the order to be there as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Done,
    /// Somebody changed the order meanwhile. Nothing is done.
    Changed,
    /// There is no such order.
    Missing,
}

/// What became of an order that was to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The order is there.
    Done,
    /// The request was done before; this is its answer.
    Before(StoredAnswer),
}

/// Which orders of all; what is `None` is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderFilter {
    /// Those of this user.
    pub user_id: Option<UserId>,
    /// Those that stand there.
    pub status: Option<OrderStatus>,
}

/// Bytes of the items of one page, written as JSON: of small orders this is far more than a page can have.
pub const MAX_PAGE_BYTES: u32 = 32 << 20;

/// A part of the orders that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderList {
    /// Those of the page, the oldest first; of one instant, by their ids.
    pub orders: Vec<Order>,
    /// How many there are in all.
    pub total: u64,
}

/// Why a store did not do what was asked.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The orders of the page have more than [`MAX_PAGE_BYTES`] of items. A page of one order never has.
    #[error("the page has more than {MAX_PAGE_BYTES} bytes of items")]
    PageTooLarge,
    /// The store as a whole cannot be reached; trying again later may help.
    #[error("the store of orders is unavailable: {0}")]
    Unavailable(String),
    /// No answer in time; whether a write was done is not known.
    #[error("the store of orders did not answer in time")]
    Timeout,
    /// A fault.
    #[error("store failure: {0}")]
    Other(String),
}

/// All orders. The module's documentation is the contract.
#[async_trait]
pub trait OrderStore: fmt::Debug + Send + Sync + 'static {
    /// Adds an order, and keeps the answer to the request and the event together with it: all are there or none. Adds nothing where
    /// an answer to a request with the same id is kept already.
    async fn create(&self, order: NewOrder) -> Result<Created, StoreError>;

    /// What a request was answered that is sent again; `None` when it was not, or that is forgotten.
    async fn find_answer(&self, request: &RequestKey) -> Result<Option<StoredAnswer>, StoreError>;

    /// Forgets answers that have expired, some thousands at most; tells how many.
    async fn forget_answers(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Reads an order; `None` when there is none.
    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError>;

    /// Reads a page, in the order in which they were created; or none, if it is [too large](StoreError::PageTooLarge).
    async fn list(&self, filter: &OrderFilter, page: Page) -> Result<OrderList, StoreError>;

    /// Puts the status and the address of an order in the place of those of its `known` version. Whatever else there is of it
    /// stays. The event is written where it is done.
    async fn change(&self, order: &Order, known: Version, event: Option<Event>) -> Result<Written, StoreError>;

    /// Deletes an order in its `known` version. The event is written where it is done.
    async fn delete(&self, id: OrderId, known: Version, event: Option<Event>) -> Result<Written, StoreError>;

    /// Whether the store can be reached; read-only, bounded by the caller.
    async fn ping(&self) -> Result<(), StoreError>;
}
