//! Requests that are sent again.

use std::time::Duration;

use chassis::http::{Page, RequestKey, StoredAnswer};
use futures_util::future::join_all;
use jiff::Timestamp;

use super::{OrderHarness, moment, order};
use crate::model::NewOrder;
use crate::store::{Created, OrderFilter};

/// An order whose request has the key `key`.
pub(super) fn keyed(number: u32, key: &str) -> NewOrder {
    let answer = StoredAnswer {
        key: RequestKey { id: format!("{key:-<43}"), fingerprint: format!("{number:-<43}") },
        answer: format!("{{\"answer\":\"{number} ' \u{1f980}\"}}"),
        expires_at: expiry(),
    };
    NewOrder { answer: Some(answer), ..NewOrder::new(order(number, "ann")) }
}

fn expiry() -> Timestamp {
    moment(0) + Duration::from_secs(3600)
}

async fn total(harness: &impl OrderHarness) -> u64 {
    let page = Page { skip: 0, limit: 0 };
    harness.store().list(&OrderFilter::default(), page).await.unwrap().total
}

pub async fn a_request_that_is_sent_again_gets_its_first_answer(harness: &impl OrderHarness) {
    let first = keyed(1, "k");
    let answer = first.answer.clone().unwrap();
    assert_eq!(harness.store().find_answer(&answer.key).await.unwrap(), None);
    assert_eq!(harness.store().create(first).await.unwrap(), Created::Done);
    let other = harness.other_process().await;
    assert_eq!(other.find_answer(&keyed(2, "k").answer.unwrap().key).await.unwrap(), Some(answer.clone()));
    assert_eq!(other.create(keyed(2, "k")).await.unwrap(), Created::Before(answer));
    assert_eq!(total(harness).await, 1);
    assert_eq!(harness.store().create(keyed(3, "l")).await.unwrap(), Created::Done);
    assert_eq!(total(harness).await, 2);
}

pub async fn of_a_hundred_creates_with_one_key_one_is_done(harness: &impl OrderHarness) {
    let (store, other) = (harness.store(), harness.other_process().await);
    let creates = (0..100).map(|number| {
        let store = if number % 2 == 0 { &store } else { &other };
        store.create(keyed(number, "k"))
    });
    let outcomes: Vec<_> = join_all(creates).await.into_iter().map(Result::unwrap).collect();
    let winner = outcomes.iter().position(|outcome| *outcome == Created::Done).unwrap();
    let answer = keyed(u32::try_from(winner).unwrap(), "k").answer.unwrap();
    let before = Created::Before(answer);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == before).count(), 99);
    assert_eq!(total(harness).await, 1);
}

pub async fn many_creates_with_keys_keep_their_own_answers(harness: &impl OrderHarness) {
    let store = harness.store();
    let all: Vec<_> = (0..60).map(|number| keyed(number, &format!("k{number}"))).collect();
    let created = join_all(all.iter().map(|new| store.create(new.clone()))).await;
    assert!(created.into_iter().all(|outcome| outcome.unwrap() == Created::Done));
    for (new, outcome) in all.iter().zip(join_all(all.iter().map(|new| store.create(new.clone()))).await) {
        assert_eq!(outcome.unwrap(), Created::Before(new.answer.clone().unwrap()));
    }
}

pub async fn an_answer_is_forgotten_when_it_has_expired(harness: &impl OrderHarness) {
    let store = harness.store();
    store.create(keyed(1, "k")).await.unwrap();
    assert_eq!(store.forget_answers(expiry() - Duration::from_micros(1)).await.unwrap(), 0);
    assert!(matches!(store.create(keyed(2, "k")).await.unwrap(), Created::Before(_)));
    assert_eq!(store.forget_answers(expiry()).await.unwrap(), 1);
    assert_eq!(store.forget_answers(expiry()).await.unwrap(), 0);
    assert_eq!(store.find_answer(&keyed(1, "k").answer.unwrap().key).await.unwrap(), None);
    assert_eq!(store.create(keyed(3, "k")).await.unwrap(), Created::Done);
    assert_eq!(total(harness).await, 2, "orders stay");
}
