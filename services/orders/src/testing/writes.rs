//! Changes and deletions, and who wins of many.

use std::time::Duration;

use chassis::http::Page;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{OrderHarness, create, id, moment, order};
use crate::model::{NewOrder, Order, OrderStatus, UserId, Version};
use crate::store::{OrderFilter, Written};

fn moved(order: &Order, status: OrderStatus) -> Order {
    Order { status, version: order.version.next(), updated_at: moment(99), ..order.clone() }
}

async fn total(harness: &impl OrderHarness) -> u64 {
    let page = Page { skip: 0, limit: 0 };
    harness.store().list(&OrderFilter::default(), page).await.unwrap().total
}

pub async fn a_change_needs_the_version_that_is_there(harness: &impl OrderHarness) {
    let store = harness.store();
    let first = create(harness, order(1, "ann")).await;
    let confirmed = Order { shipping_address: "elsewhere".into(), ..moved(&first, OrderStatus::Confirmed) };
    assert_eq!(store.change(&confirmed, first.version, None).await.unwrap(), Written::Done);
    assert_eq!(store.find(first.id).await.unwrap().unwrap(), confirmed);
    let cancelled = moved(&first, OrderStatus::Cancelled);
    assert_eq!(store.change(&cancelled, first.version, None).await.unwrap(), Written::Changed);
    assert_eq!(store.find(first.id).await.unwrap().unwrap(), confirmed);
    assert_eq!(store.change(&order(2, "ann"), Version::FIRST, None).await.unwrap(), Written::Missing);
}

pub async fn a_change_leaves_what_never_changes(harness: &impl OrderHarness) {
    let store = harness.store();
    let first = create(harness, order(1, "ann")).await;
    let other = Order { user_id: UserId("bob".into()), items: [].into(), created_at: moment(7), ..first.clone() };
    let confirmed = moved(&other, OrderStatus::Confirmed);
    assert_eq!(store.change(&confirmed, first.version, None).await.unwrap(), Written::Done);
    assert_eq!(store.find(first.id).await.unwrap().unwrap(), moved(&first, OrderStatus::Confirmed));
}

pub async fn of_a_hundred_conflicting_transitions_one_wins(harness: &impl OrderHarness) {
    let (store, other) = (harness.store(), harness.other_process().await);
    let mut present = create(harness, order(1, "ann")).await;
    // A way that is legal at each step, whoever wins.
    while let [next, cancelled] = *present.status.followers() {
        let changes = (0..100).map(|number| {
            let store = if number % 2 == 0 { &store } else { &other };
            let changed = moved(&present, if number % 4 < 2 { next } else { cancelled });
            let known = present.version;
            async move { (store.change(&changed, known, None).await.unwrap(), changed) }
        });
        let outcomes = join_all(changes).await;
        let winners: Vec<_> = outcomes.iter().filter(|(written, _)| *written == Written::Done).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(outcomes.iter().filter(|(written, _)| *written == Written::Changed).count(), 99);
        present = store.find(present.id).await.unwrap().unwrap();
        assert_eq!(present, winners[0].1);
    }
}

pub async fn a_deletion_needs_the_version_that_it_names(harness: &impl OrderHarness) {
    let store = harness.store();
    let first = create(harness, order(1, "ann")).await;
    assert_eq!(store.delete(first.id, Version(2), None).await.unwrap(), Written::Changed);
    assert_eq!(store.delete(first.id, first.version, None).await.unwrap(), Written::Done);
    assert_eq!(store.find(first.id).await.unwrap(), None);
    assert_eq!(store.delete(first.id, first.version, None).await.unwrap(), Written::Missing);
    create(harness, order(2, "ann")).await;
    assert_eq!(store.delete(id(2), Version::FIRST, None).await.unwrap(), Written::Done);
    assert_eq!(total(harness).await, 0);
}

pub async fn many_writes_at_once_are_all_there(harness: &impl OrderHarness) {
    let store = harness.store();
    let creates = (0..500).map(|number| store.create(NewOrder::new(order(number, "ann"))));
    assert!(join_all(creates).await.into_iter().all(|outcome| outcome.is_ok()));
    let finds = (0..500).map(|number| store.find(id(number)));
    for (number, found) in (0..).zip(join_all(finds).await) {
        assert_eq!(found.unwrap().unwrap(), order(number, "ann"));
    }
    assert_eq!(total(harness).await, 500);
}

pub async fn a_caller_that_leaves_harms_nobody(harness: &impl OrderHarness) {
    let store = harness.store();
    let left = (0..50).map(|number| timeout(Duration::ZERO, store.create(NewOrder::new(order(number, "ann")))));
    join_all(left).await;
    let find = timeout(Duration::ZERO, store.find(id(1))).await;
    drop(find);
    let late = create(harness, order(100, "ann")).await;
    assert_eq!(store.find(late.id).await.unwrap().unwrap(), late);
    let total = total(harness).await;
    assert!((1..=51).contains(&total), "{total}");
}

pub async fn the_store_answers_a_ping(harness: &impl OrderHarness) {
    harness.store().ping().await.unwrap();
    harness.other_process().await.ping().await.unwrap();
}
