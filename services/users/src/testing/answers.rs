//! Requests that are sent again.

use std::time::Duration;

use chassis::http::{RequestKey, StoredAnswer};
use futures_util::future::join_all;
use jiff::Timestamp;

use super::{UserHarness, create, id, moment, user};
use crate::model::NewUser;
use crate::store::{Created, StoreError, Unique};

/// A user whose request has the key `key`.
pub(super) fn keyed(number: u32, email: &str, key: &str) -> NewUser {
    let answer = StoredAnswer {
        key: RequestKey { id: format!("{key:-<43}"), fingerprint: format!("{number:-<43}") },
        answer: format!("{{\"answer\":\"{number} ' \u{1f980}\"}}"),
        expires_at: expiry(),
    };
    NewUser { answer: Some(answer), ..NewUser::new(user(number, email)) }
}

fn expiry() -> Timestamp {
    moment(0) + Duration::from_secs(3600)
}

async fn total(harness: &impl UserHarness) -> u64 {
    harness.store().count().await.unwrap().total
}

pub async fn a_request_that_is_sent_again_gets_its_first_answer(harness: &impl UserHarness) {
    let first = keyed(1, "a@example.com", "k");
    assert_eq!(harness.store().create(first.clone()).await.unwrap(), Created::Done);
    for again in [keyed(2, "a@example.com", "k"), keyed(3, "other@example.com", "k")] {
        let outcome = harness.other_process().await.create(again).await.unwrap();
        assert_eq!(outcome, Created::Before(first.answer.clone().unwrap()));
    }
    assert_eq!(total(harness).await, 1);
    assert_eq!(harness.store().create(keyed(4, "other@example.com", "l")).await.unwrap(), Created::Done);
    assert_eq!(total(harness).await, 2);
}

pub async fn of_a_hundred_creates_with_one_key_one_is_done(harness: &impl UserHarness) {
    let (store, other) = (harness.store(), harness.other_process().await);
    let creates = (0..100).map(|number| {
        let store = if number % 2 == 0 { &store } else { &other };
        store.create(keyed(number, &format!("{number}@example.com"), "k"))
    });
    let outcomes: Vec<_> = join_all(creates).await.into_iter().map(Result::unwrap).collect();
    let winner = outcomes.iter().position(|outcome| *outcome == Created::Done).unwrap();
    let answer = keyed(u32::try_from(winner).unwrap(), "a@example.com", "k").answer.unwrap();
    let before = Created::Before(answer);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == before).count(), 99);
    assert_eq!(total(harness).await, 1);
}

pub async fn a_create_that_failed_keeps_no_answer(harness: &impl UserHarness) {
    create(harness, user(1, "taken@example.com")).await;
    let store = harness.store();
    let failed = store.create(keyed(2, "TAKEN@example.com", "k")).await;
    assert!(matches!(failed, Err(StoreError::Taken(Unique::Email))), "{failed:?}");
    assert_eq!(store.create(keyed(3, "free@example.com", "k")).await.unwrap(), Created::Done);
    assert!(store.find(id(2)).await.unwrap().is_none() && store.find(id(3)).await.unwrap().is_some());
}

pub async fn many_creates_with_keys_keep_their_own_answers(harness: &impl UserHarness) {
    let store = harness.store();
    let all: Vec<_> =
        (0..60).map(|number| keyed(number, &format!("{number}@example.com"), &format!("k{number}"))).collect();
    let created = join_all(all.iter().map(|new| store.create(new.clone()))).await;
    assert!(created.into_iter().all(|outcome| outcome.unwrap() == Created::Done));
    for (new, outcome) in all.iter().zip(join_all(all.iter().map(|new| store.create(new.clone()))).await) {
        assert_eq!(outcome.unwrap(), Created::Before(new.answer.clone().unwrap()));
    }
}

pub async fn an_answer_is_forgotten_when_it_has_expired(harness: &impl UserHarness) {
    let store = harness.store();
    store.create(keyed(1, "a@example.com", "k")).await.unwrap();
    assert_eq!(store.forget_answers(expiry() - Duration::from_micros(1)).await.unwrap(), 0);
    assert!(matches!(store.create(keyed(2, "b@example.com", "k")).await.unwrap(), Created::Before(_)));
    assert_eq!(store.forget_answers(expiry()).await.unwrap(), 1);
    assert_eq!(store.forget_answers(expiry()).await.unwrap(), 0);
    assert_eq!(store.create(keyed(3, "c@example.com", "k")).await.unwrap(), Created::Done);
    assert_eq!(total(harness).await, 2, "users stay");
}
