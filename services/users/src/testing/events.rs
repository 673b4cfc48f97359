//! Changes and the events that report them.

use chassis::ports::Event;
use chassis::ports::outbox::Position;
use futures_util::future::join_all;
use uuid::Uuid;

use super::answers::keyed;
use super::{UserHarness, create, hash, id, moment, user};
use crate::model::{NewUser, UserId, Version};
use crate::store::{Created, Written};

fn event(number: u32, entity: UserId) -> Event {
    Event {
        id: Uuid::from_u128(u128::from(number)),
        entity: entity.0,
        event_type: "user_registration".into(),
        body: format!("{{\"number\":{number}}}"),
        occurred_at: moment(number),
        correlation_id: None,
        trace: None,
    }
}

fn reported(number: u32, email: &str) -> NewUser {
    let user = user(number, email);
    NewUser { password: Some(hash("first")), event: Some(event(number, user.id)), ..NewUser::new(user) }
}

async fn events(harness: &impl UserHarness) -> Vec<Event> {
    let read = harness.outbox().read(Position::START, Position(i64::MAX), 1000).await.unwrap();
    read.into_iter().map(|(_, event)| event).collect()
}

pub async fn a_user_and_the_event_are_there_together(harness: &impl UserHarness) {
    let store = harness.store();
    create(harness, user(1, "silent@example.com")).await;
    store.create(reported(2, "ann@example.com")).await.unwrap();
    let both = NewUser { event: Some(event(3, id(3))), ..keyed(3, "bob@example.com", "k") };
    assert_eq!(store.create(both.clone()).await.unwrap(), Created::Done);
    assert_eq!(store.create(both.clone()).await.unwrap(), Created::Before(both.answer.unwrap()));
    assert_eq!(events(harness).await, [event(2, id(2)), event(3, id(3))]);
}

pub async fn a_create_that_failed_leaves_no_event(harness: &impl UserHarness) {
    create(harness, user(1, "ann@example.com")).await;
    harness.store().create(reported(2, "Ann@Example.com")).await.unwrap_err();
    assert_eq!(events(harness).await, []);
}

pub async fn a_deletion_and_its_event_are_done_together(harness: &impl UserHarness) {
    let store = harness.store();
    let ann = create(harness, user(1, "ann@example.com")).await;
    let told = || Some(event(1, ann.id));
    assert_eq!(store.delete(ann.id, Some(Version(2)), told()).await.unwrap(), Written::Changed);
    assert_eq!(events(harness).await, []);
    assert_eq!(store.delete(ann.id, None, told()).await.unwrap(), Written::Done);
    assert_eq!(store.delete(ann.id, None, Some(event(2, ann.id))).await.unwrap(), Written::Missing);
    assert_eq!(events(harness).await, [event(1, ann.id)]);
}

pub async fn many_writes_at_once_report_each_what_it_did(harness: &impl UserHarness) {
    let (store, other) = (harness.store(), harness.other_process().await);
    // Two for each address, of which one wins.
    let creates = (0..100).map(|number| {
        let store = if number % 2 == 0 { &store } else { &other };
        store.create(reported(number, &format!("{}@example.com", number / 2)))
    });
    let outcomes = join_all(creates).await;
    let winners = (0..100).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(number, _)| id(number).0);
    let mut winners: Vec<Uuid> = winners.collect();
    let mut told: Vec<Uuid> = events(harness).await.into_iter().map(|event| event.entity).collect();
    winners.sort_unstable();
    told.sort_unstable();
    assert_eq!(winners.len(), 50);
    assert_eq!(told, winners);
}
