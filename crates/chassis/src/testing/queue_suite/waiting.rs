//! Long polls: they end at once when there is something, and in time when there is nothing.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{LONG, QueueHarness, SHORT, bodies, receive, send, take_one};
use crate::ports::queue::{DeadLetters, NewMessage};

const WAIT: Duration = Duration::from_secs(10);
/// Until the poll surely waits.
const HEAD_START: Duration = Duration::from_millis(100);

/// Starts a long poll, then runs `change`; the poll must bring `body` within `limit` of the change.
async fn poll_ends_with(harness: &impl QueueHarness, body: &str, limit: Duration, change: impl Future<Output = ()>) {
    let change = async {
        sleep(HEAD_START).await;
        change.await;
        Instant::now()
    };
    let poll = async { (receive(harness, 10, WAIT, LONG).await, Instant::now()) };
    let (changed, (messages, ended)) = tokio::join!(change, poll);
    assert_eq!(bodies(&messages), [body]);
    let took = ended.saturating_duration_since(changed);
    assert!(took < limit, "the poll ended {took:?} after the change, the limit is {limit:?}");
}

pub async fn a_long_poll_ends_when_a_message_is_sent(harness: &impl QueueHarness) {
    let change = async {
        send(harness, "new").await;
    };
    poll_ends_with(harness, "new", harness.wakes_within(), change).await;
}

pub async fn a_long_poll_ends_when_a_message_is_released(harness: &impl QueueHarness) {
    send(harness, "handed back").await;
    let receipts = [take_one(harness, LONG).await.receipt];
    let change = async {
        harness.queue().release(&receipts, Duration::ZERO).await.unwrap();
    };
    poll_ends_with(harness, "handed back", harness.wakes_within(), change).await;
}

pub async fn a_long_poll_ends_when_a_message_is_shown(harness: &impl QueueHarness) {
    send(harness, "shown").await;
    let receipts = [take_one(harness, LONG).await.receipt];
    let change = async {
        harness.queue().change_visibility(&receipts, Duration::ZERO).await.unwrap();
    };
    poll_ends_with(harness, "shown", harness.wakes_within(), change).await;
}

pub async fn a_long_poll_ends_when_a_message_is_retried(harness: &impl QueueHarness) {
    send(harness, "once more").await;
    let receipts = [take_one(harness, LONG).await.receipt];
    let change = async {
        harness.queue().retry(&receipts, Duration::ZERO).await.unwrap();
    };
    poll_ends_with(harness, "once more", harness.wakes_within(), change).await;
}

pub async fn a_long_poll_ends_when_a_message_is_redriven(harness: &impl QueueHarness) {
    send(harness, "revived").await;
    let message = take_one(harness, LONG).await;
    harness.queue().dead_letter(&message, "bad").await.unwrap();
    let change = async {
        harness.queue().redrive(DeadLetters::All).await.unwrap();
    };
    poll_ends_with(harness, "revived", harness.wakes_within(), change).await;
}

pub async fn a_long_poll_ends_when_a_delay_is_over(harness: &impl QueueHarness) {
    harness.queue().send(NewMessage { delay: SHORT, ..NewMessage::new("late", Default::default()) }).await.unwrap();
    poll_ends_with(harness, "late", SHORT + WAIT / 4, harness.advance(SHORT)).await;
}

pub async fn a_long_poll_ends_when_a_visibility_runs_out(harness: &impl QueueHarness) {
    send(harness, "again").await;
    take_one(harness, SHORT).await;
    poll_ends_with(harness, "again", SHORT + WAIT / 4, harness.advance(SHORT)).await;
}

pub async fn a_long_poll_without_messages_ends_empty_after_its_wait(harness: &impl QueueHarness) {
    let wait = Duration::from_secs(1);
    let started = Instant::now();
    assert!(receive(harness, 1, wait, LONG).await.is_empty());
    let took = started.elapsed();
    assert!(took >= wait && took < wait * 3, "a wait of {wait:?} took {took:?}");
}

pub async fn a_receive_without_wait_answers_at_once(harness: &impl QueueHarness) {
    let started = Instant::now();
    assert!(receive(harness, 1, Duration::ZERO, LONG).await.is_empty());
    assert!(started.elapsed() < Duration::from_secs(1));
}
