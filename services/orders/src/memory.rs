//! Orders in memory: for tests, and for `memory:`, which forgets at the end.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chassis::http::{Page, RequestKey, StoredAnswer};
use chassis::ports::{Event, MemoryOutbox};
use jiff::Timestamp;

use crate::model::{NewOrder, Order, OrderId, Version};
use crate::store::{Created, MAX_PAGE_BYTES, OrderFilter, OrderList, OrderStore, StoreError, Written};

/// All orders of a process.
#[derive(Debug, Default)]
pub struct MemoryOrders {
    orders: Mutex<Orders>,
    outbox: Arc<MemoryOutbox>,
}

#[derive(Debug, Default)]
struct Orders {
    by_id: HashMap<OrderId, Order>,
    in_order: BTreeSet<(Timestamp, OrderId)>,
    answers: HashMap<String, StoredAnswer>,
}

impl MemoryOrders {
    /// A store without orders.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The events that are written with the orders.
    #[must_use]
    pub fn outbox(&self) -> Arc<MemoryOutbox> {
        Arc::clone(&self.outbox)
    }

    fn report(&self, event: Option<Event>) {
        event.into_iter().for_each(|event| self.outbox.push(event));
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Orders {
    /// How a write finds an order that it knows in a version.
    fn look(&self, id: OrderId, known: Version) -> Written {
        match self.by_id.get(&id) {
            None => Written::Missing,
            Some(order) if known != order.version => Written::Changed,
            Some(_) => Written::Done,
        }
    }
}

impl OrderFilter {
    fn takes(&self, order: &Order) -> bool {
        self.user_id.as_ref().is_none_or(|user_id| *user_id == order.user_id)
            && self.status.is_none_or(|status| status == order.status)
    }
}

#[async_trait]
impl OrderStore for MemoryOrders {
    async fn create(&self, NewOrder { order, answer, event }: NewOrder) -> Result<Created, StoreError> {
        let mut orders = self.lock();
        if let Some(before) = answer.as_ref().and_then(|answer| orders.answers.get(&answer.key.id)) {
            return Ok(Created::Before(before.clone()));
        }
        orders.in_order.insert((order.created_at, order.id));
        orders.by_id.insert(order.id, order);
        orders.answers.extend(answer.map(|answer| (answer.key.id.clone(), answer)));
        self.report(event);
        Ok(Created::Done)
    }

    async fn find_answer(&self, request: &RequestKey) -> Result<Option<StoredAnswer>, StoreError> {
        Ok(self.lock().answers.get(&request.id).cloned())
    }

    async fn forget_answers(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut orders = self.lock();
        let before = orders.answers.len();
        orders.answers.retain(|_, answer| answer.expires_at > now);
        Ok(to_u64(before - orders.answers.len()))
    }

    async fn find(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        Ok(self.lock().by_id.get(&id).cloned())
    }

    async fn list(&self, filter: &OrderFilter, page: Page) -> Result<OrderList, StoreError> {
        let (skip, limit) = (to_usize(page.skip), to_usize(page.limit));
        let orders = self.lock();
        let all = || orders.in_order.iter().filter_map(|(_, id)| orders.by_id.get(id)).filter(|it| filter.takes(it));
        let page: Vec<&Order> = all().skip(skip).take(limit).collect();
        if page.iter().map(|order| size_bytes(order)).sum::<u64>() > MAX_PAGE_BYTES.into() {
            return Err(StoreError::PageTooLarge);
        }
        Ok(OrderList { orders: page.into_iter().cloned().collect(), total: to_u64(all().count()) })
    }

    async fn change(&self, order: &Order, known: Version, event: Option<Event>) -> Result<Written, StoreError> {
        let mut orders = self.lock();
        let found = orders.look(order.id, known);
        if found == Written::Done
            && let Some(kept) = orders.by_id.get_mut(&order.id)
        {
            kept.status = order.status;
            kept.shipping_address.clone_from(&order.shipping_address);
            kept.version = order.version;
            kept.updated_at = order.updated_at;
            self.report(event);
        }
        Ok(found)
    }

    async fn delete(&self, id: OrderId, known: Version, event: Option<Event>) -> Result<Written, StoreError> {
        let mut orders = self.lock();
        let found = orders.look(id, known);
        if found == Written::Done
            && let Some(order) = orders.by_id.remove(&id)
        {
            orders.in_order.remove(&(order.created_at, id));
            self.report(event);
        }
        Ok(found)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// As a database would keep it.
fn size_bytes(order: &Order) -> u64 {
    serde_json::to_vec(&order.items).map_or(0, |items| to_u64(items.len()))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
