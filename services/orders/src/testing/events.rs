//! Changes and the events that report them.

use chassis::ports::Event;
use chassis::ports::outbox::Position;
use futures_util::future::join_all;
use uuid::Uuid;

use super::answers::keyed;
use super::{OrderHarness, create, id, moment, order};
use crate::model::{NewOrder, Order, OrderId, OrderStatus, Version};
use crate::store::{Created, Written};

fn event(number: u32, entity: OrderId) -> Event {
    Event {
        id: Uuid::from_u128(u128::from(number)),
        entity: entity.0,
        event_type: "order_created".into(),
        body: format!("{{\"number\":{number}}}"),
        occurred_at: moment(number),
        correlation_id: None,
        trace: None,
    }
}

fn reported(number: u32) -> NewOrder {
    let order = order(number, "ann");
    NewOrder { event: Some(event(number, order.id)), ..NewOrder::new(order) }
}

fn confirmed(order: &Order) -> Order {
    Order { status: OrderStatus::Confirmed, version: order.version.next(), ..order.clone() }
}

async fn events(harness: &impl OrderHarness) -> Vec<Event> {
    let read = harness.outbox().read(Position::START, Position(i64::MAX), 1000).await.unwrap();
    read.into_iter().map(|(_, event)| event).collect()
}

pub async fn an_order_and_the_event_are_there_together(harness: &impl OrderHarness) {
    let store = harness.store();
    create(harness, order(1, "silent")).await;
    store.create(reported(2)).await.unwrap();
    let both = NewOrder { event: Some(event(3, id(3))), ..keyed(3, "k") };
    assert_eq!(store.create(both.clone()).await.unwrap(), Created::Done);
    assert_eq!(store.create(both.clone()).await.unwrap(), Created::Before(both.answer.unwrap()));
    assert_eq!(events(harness).await, [event(2, id(2)), event(3, id(3))]);
}

pub async fn a_change_and_its_event_are_done_together(harness: &impl OrderHarness) {
    let store = harness.store();
    let first = create(harness, order(1, "ann")).await;
    let second = confirmed(&first);
    let change = |order: Order, known: Version, number: u32| {
        let (store, event) = (harness.store(), Some(event(number, order.id)));
        async move { store.change(&order, known, event).await.unwrap() }
    };
    assert_eq!(change(second.clone(), Version(2), 1).await, Written::Changed);
    assert_eq!(change(order(2, "ann"), Version::FIRST, 2).await, Written::Missing);
    assert_eq!(events(harness).await, []);
    assert_eq!(change(second.clone(), Version::FIRST, 3).await, Written::Done);
    assert_eq!(change(second.clone(), Version::FIRST, 4).await, Written::Changed);
    assert_eq!(store.change(&confirmed(&second), Version(2), None).await.unwrap(), Written::Done);
    assert_eq!(events(harness).await, [event(3, first.id)]);
}

pub async fn a_deletion_and_its_event_are_done_together(harness: &impl OrderHarness) {
    let store = harness.store();
    let order = create(harness, order(1, "ann")).await;
    let told = |number| Some(event(number, order.id));
    assert_eq!(store.delete(order.id, Version(2), told(1)).await.unwrap(), Written::Changed);
    assert_eq!(events(harness).await, []);
    assert_eq!(store.delete(order.id, order.version, told(1)).await.unwrap(), Written::Done);
    assert_eq!(store.delete(order.id, order.version, told(2)).await.unwrap(), Written::Missing);
    assert_eq!(events(harness).await, [event(1, order.id)]);
}

pub async fn many_writes_at_once_report_each_what_it_did(harness: &impl OrderHarness) {
    let (store, other) = (harness.store(), harness.other_process().await);
    let side = |number: u32| if number.is_multiple_of(2) { &store } else { &other };
    join_all((0..100).map(|number| side(number).create(reported(number)))).await;
    // Two for each order, of which one wins.
    let changes = (0..200).map(|number: u32| {
        let order = confirmed(&order(number / 2, "ann"));
        async move { side(number).change(&order, Version::FIRST, Some(event(1000 + number, order.id))).await.unwrap() }
    });
    let outcomes = join_all(changes).await;
    let done = (1000..).zip(outcomes).filter(|(_, outcome)| *outcome == Written::Done).map(|(number, _)| number);
    let mut expected: Vec<Uuid> = (0..100).chain(done).map(Uuid::from_u128).collect();
    let mut told: Vec<Uuid> = events(harness).await.into_iter().map(|event| event.id).collect();
    expected.sort_unstable();
    told.sort_unstable();
    assert_eq!(expected.len(), 200);
    assert_eq!(told, expected);
}
