//! What operators see and do.

use std::time::Duration;

use super::{LONG, QueueHarness, assert_nothing_visible, send, take_one};
use crate::ports::queue::{NewMessage, QueueStats};

/// One visible message, one in flight, one delayed, one dead.
async fn one_of_each(harness: &impl QueueHarness) {
    send(harness, "dead").await;
    let dead = take_one(harness, LONG).await;
    harness.queue().dead_letter(&dead, "bad").await.unwrap();
    send(harness, "in flight").await;
    take_one(harness, LONG).await;
    let delayed = NewMessage { delay: LONG, ..NewMessage::new("delayed", Default::default()) };
    harness.queue().send(delayed).await.unwrap();
    send(harness, "visible").await;
}

pub async fn purge_deletes_hidden_and_delayed_messages_too(harness: &impl QueueHarness) {
    one_of_each(harness).await;
    assert_eq!(harness.queue().purge().await.unwrap(), 3);
    let expected = QueueStats { dead: Some(1), ..QueueStats::default() };
    assert_eq!(harness.queue().stats().await.unwrap(), expected);
    assert_nothing_visible(harness).await;
    send(harness, "after").await;
    assert_eq!(take_one(harness, LONG).await.body, "after");
}

pub async fn stats_count_every_state(harness: &impl QueueHarness) {
    one_of_each(harness).await;
    let age = Duration::from_secs(3);
    harness.advance(age).await;
    let stats = harness.queue().stats().await.unwrap();
    let counted = QueueStats { oldest_age_seconds: None, ..stats };
    assert_eq!(counted, QueueStats { visible: 1, in_flight: 1, delayed: 1, dead: Some(1), oldest_age_seconds: None });
    if !harness.is_exact() {
        return;
    }
    let oldest = stats.oldest_age_seconds.unwrap();
    assert!((age.as_secs()..age.as_secs() + 30).contains(&oldest), "the oldest message is {oldest} s old");
}

pub async fn stats_of_an_empty_queue_are_zero(harness: &impl QueueHarness) {
    let expected = QueueStats { dead: Some(0), ..QueueStats::default() };
    assert_eq!(harness.queue().stats().await.unwrap(), expected);
}

pub async fn a_working_queue_answers_pings(harness: &impl QueueHarness) {
    harness.queue().ping().await.unwrap();
    send(harness, "untouched").await;
    harness.queue().ping().await.unwrap();
    assert_eq!(take_one(harness, LONG).await.receive_count, 1);
}
