//! Pages, and which orders are in them.

use std::sync::Arc;

use chassis::http::Page;

use super::{OrderHarness, create, id, order};
use crate::model::{Item, Order, OrderId, OrderStatus, UserId, Version};
use crate::store::{MAX_PAGE_BYTES, OrderFilter, OrderList, StoreError};

async fn page(harness: &impl OrderHarness, skip: u64, limit: u64) -> (Vec<OrderId>, u64) {
    listed(harness, &OrderFilter::default(), Page { skip, limit }).await
}

async fn listed(harness: &impl OrderHarness, filter: &OrderFilter, page: Page) -> (Vec<OrderId>, u64) {
    let OrderList { orders, total } = harness.store().list(filter, page).await.unwrap();
    (orders.iter().map(|order| order.id).collect(), total)
}

async fn create_many(harness: &impl OrderHarness, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        create(harness, order(number, "ann")).await;
    }
}

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<OrderId> {
    numbers.into_iter().map(id).collect()
}

pub async fn pages_have_the_order_of_creation(harness: &impl OrderHarness) {
    create_many(harness, 0..10).await;
    assert_eq!(page(harness, 0, 100).await, (ids(0..10), 10));
    assert_eq!(page(harness, 3, 4).await, (ids(3..7), 10));
    let list = harness.store().list(&OrderFilter::default(), Page { skip: 9, limit: 1 }).await.unwrap();
    assert_eq!(list.orders, [order(9, "ann")]);
    // Of one instant, in the order of the ids.
    let created_at = order(20, "ann").created_at;
    let mut together: Vec<_> = (20..30).map(id).collect();
    for number in 20..30 {
        create(harness, Order { created_at, ..order(number, "ann") }).await;
    }
    together.sort_unstable();
    assert_eq!(page(harness, 10, 100).await, (together, 20));
}

pub async fn pages_hold_still_while_orders_are_added(harness: &impl OrderHarness) {
    create_many(harness, 0..6).await;
    let (first, _) = page(harness, 0, 3).await;
    create_many(harness, 6..9).await;
    let (second, total) = page(harness, 3, 3).await;
    create_many(harness, 9..12).await;
    let (third, _) = page(harness, 6, 3).await;
    assert_eq!(([first, second, third].concat(), total), (ids(0..9), 9));
}

pub async fn pages_beyond_the_end_are_empty(harness: &impl OrderHarness) {
    assert_eq!(page(harness, 0, 100).await, (vec![], 0));
    create_many(harness, 0..2).await;
    assert_eq!(page(harness, 0, 0).await, (vec![], 2));
    assert_eq!(page(harness, 2, 10).await, (vec![], 2));
    assert_eq!(page(harness, i64::MAX as u64, 1000).await, (vec![], 2));
}

pub async fn lists_have_what_is_asked_for_alone(harness: &impl OrderHarness) {
    for number in 0..20 {
        let status = OrderStatus::ALL[number as usize % 5];
        let user_id = if number < 10 { "ann" } else { "Ann" };
        create(harness, Order { status, ..order(number, user_id) }).await;
    }
    let whole = Page { skip: 0, limit: 1000 };
    let of = |user_id: Option<&str>, status| OrderFilter { user_id: user_id.map(|id| UserId(id.into())), status };
    assert_eq!(listed(harness, &of(Some("ann"), None), whole).await, (ids(0..10), 10));
    assert_eq!(listed(harness, &of(Some("Ann"), None), whole).await, (ids(10..20), 10));
    assert_eq!(listed(harness, &of(Some("bob"), None), whole).await, (vec![], 0));
    let shipped = Some(OrderStatus::Shipped);
    assert_eq!(listed(harness, &of(None, shipped), whole).await, (ids([2, 7, 12, 17]), 4));
    assert_eq!(listed(harness, &of(Some("ann"), shipped), whole).await, (ids([2, 7]), 2));
    let second = Page { skip: 1, limit: 2 };
    assert_eq!(listed(harness, &of(None, shipped), second).await, (ids([7, 12]), 4));
    assert_eq!(listed(harness, &of(Some("ann"), None), second).await, (ids([1, 2]), 10));
    // Where it stands now, and not where it stood.
    let delivered = Order { status: OrderStatus::Delivered, version: Version(2), ..order(2, "ann") };
    harness.store().change(&delivered, Version::FIRST, None).await.unwrap();
    assert_eq!(listed(harness, &of(None, shipped), whole).await, (ids([7, 12, 17]), 3));
}

pub async fn a_page_that_would_be_too_large_is_refused(harness: &impl OrderHarness) {
    let store = harness.store();
    // 1000 names of 200 crabs each are some 860 kB.
    let name = "🦀".repeat(200);
    let first = order(0, "ann");
    let items: Arc<[Item]> = (0..1000).map(|_| Item { product_name: name.clone(), ..first.items[0].clone() }).collect();
    let most = MAX_PAGE_BYTES as usize / serde_json::to_vec(&items).unwrap().len();
    for number in 0..=u32::try_from(most).unwrap() {
        create(harness, Order { items: Arc::clone(&items), ..order(number, "ann") }).await;
    }
    let read = async |skip, limit| store.list(&OrderFilter::default(), Page { skip, limit }).await;
    let whole = read(0, most as u64).await.unwrap();
    assert_eq!((whole.orders.len(), whole.total), (most, most as u64 + 1));
    assert!(whole.orders.iter().all(|order| order.items == items));
    assert!(matches!(read(0, 1000).await, Err(StoreError::PageTooLarge)));
    assert_eq!(read(most as u64, 1000).await.unwrap().orders.len(), 1);
}
