//! Requests that are sent again.

use chassis::http::RequestKey;
use futures_util::future::join_all;

use super::{EventHarness, event, total};
use crate::model::{EventType, NewEvent};
use crate::store::Recorded;

/// An event whose request has this key.
fn keyed(number: u32, key: &str) -> NewEvent {
    let key = RequestKey { id: format!("{key:-<43}"), fingerprint: format!("{number:-<43}") };
    NewEvent { event: event(number, EventType::UserLogin), key: Some(key) }
}

fn as_before(first: &NewEvent) -> Recorded {
    Recorded::Before {
        id: first.event.id,
        event_type: first.event.event_type.to_string(),
        fingerprint: first.key.clone().unwrap().fingerprint,
    }
}

pub async fn an_event_that_is_sent_again_is_counted_once(harness: &impl EventHarness) {
    let first = keyed(1, "k");
    assert_eq!(harness.store().record(first.clone()).await.unwrap(), Recorded::Done);
    for again in [keyed(2, "k"), first.clone()] {
        assert_eq!(harness.other_process().await.record(again).await.unwrap(), as_before(&first));
    }
    assert_eq!(harness.store().record(keyed(3, "l")).await.unwrap(), Recorded::Done);
    assert_eq!(total(harness).await, 2);
}

pub async fn of_a_hundred_with_one_key_one_is_recorded(harness: &impl EventHarness) {
    let (store, other) = (harness.store(), harness.other_process().await);
    let records = (0..100).map(|number| if number % 2 == 0 { &store } else { &other }.record(keyed(number, "k")));
    let outcomes: Vec<_> = join_all(records).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<_> = (0..).zip(&outcomes).filter(|(_, outcome)| **outcome == Recorded::Done).collect();
    let [(winner, _)] = winners[..] else { panic!("{winners:?}") };
    let others = outcomes.iter().filter(|outcome| **outcome == as_before(&keyed(winner, "k")));
    assert_eq!(others.count(), 99);
    assert_eq!(total(harness).await, 1);
}

pub async fn many_events_with_keys_keep_their_own(harness: &impl EventHarness) {
    let store = harness.store();
    let all: Vec<_> = (0..100).map(|number| keyed(number, &format!("k{number}"))).collect();
    for outcome in join_all(all.iter().map(|event| store.record(event.clone()))).await {
        assert_eq!(outcome.unwrap(), Recorded::Done);
    }
    for outcome in
        join_all(all.iter().map(|event| async { (store.record(event.clone()).await, as_before(event)) })).await
    {
        assert_eq!(outcome.0.unwrap(), outcome.1);
    }
    assert_eq!(total(harness).await, 100);
}
