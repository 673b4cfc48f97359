//! What a receipt can do, and until when.

use std::time::Duration;

use super::{
    LONG, PATIENCE, QueueHarness, SHORT, assert_nothing_visible, is_invalid, is_stale, receive, redelivered, send,
    take_all, take_one,
};
use crate::ports::queue::{MAX_VISIBILITY, Message, QueueError, Receipt};

type Outcome = Result<(), QueueError>;

async fn delete(harness: &impl QueueHarness, receipt: &Receipt) -> Outcome {
    harness.queue().delete(std::slice::from_ref(receipt)).await.unwrap().remove(0)
}

async fn hide(harness: &impl QueueHarness, receipt: &Receipt, visibility: Duration) -> Outcome {
    harness.queue().change_visibility(std::slice::from_ref(receipt), visibility).await.unwrap().remove(0)
}

async fn release(harness: &impl QueueHarness, receipt: &Receipt) -> Outcome {
    harness.queue().release(std::slice::from_ref(receipt), Duration::ZERO).await.unwrap().remove(0)
}

async fn retry(harness: &impl QueueHarness, receipt: &Receipt, pause: Duration) -> Outcome {
    harness.queue().retry(std::slice::from_ref(receipt), pause).await.unwrap().remove(0)
}

/// The message is still hidden, and its present receipt still good.
async fn assert_still_held(harness: &impl QueueHarness, message: &Message) {
    assert_nothing_visible(harness).await;
    assert_eq!(harness.queue().stats().await.unwrap().in_flight, 1);
    hide(harness, &message.receipt, Duration::ZERO).await.unwrap();
    assert_eq!(take_one(harness, LONG).await.id, message.id);
}

pub async fn a_deleted_message_is_gone(harness: &impl QueueHarness) {
    send(harness, "done").await;
    let message = take_one(harness, SHORT).await;
    delete(harness, &message.receipt).await.unwrap();
    harness.advance(SHORT).await;
    assert_nothing_visible(harness).await;
    assert_eq!(harness.queue().stats().await.unwrap().oldest_age_seconds, None);
}

pub async fn deleting_twice_is_fine(harness: &impl QueueHarness) {
    send(harness, "done").await;
    let message = take_one(harness, LONG).await;
    delete(harness, &message.receipt).await.unwrap();
    delete(harness, &message.receipt).await.unwrap();
    let twice_in_one_call = [message.receipt.clone(), message.receipt];
    let answers = harness.queue().delete(&twice_in_one_call).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

pub async fn the_last_receipt_deletes_after_the_visibility_ran_out(harness: &impl QueueHarness) {
    send(harness, "slow").await;
    let message = take_one(harness, SHORT).await;
    harness.advance(SHORT).await;
    delete(harness, &message.receipt).await.unwrap();
    assert_nothing_visible(harness).await;
}

pub async fn a_stale_receipt_deletes_nothing(harness: &impl QueueHarness) {
    let (stale, message) = redelivered(harness).await;
    assert!(is_stale(&delete(harness, &stale).await));
    assert_still_held(harness, &message).await;
}

pub async fn a_stale_receipt_changes_no_visibility(harness: &impl QueueHarness) {
    let (stale, message) = redelivered(harness).await;
    assert!(is_stale(&hide(harness, &stale, Duration::ZERO).await));
    assert_still_held(harness, &message).await;
}

pub async fn a_stale_receipt_releases_nothing(harness: &impl QueueHarness) {
    let (stale, message) = redelivered(harness).await;
    assert!(is_stale(&release(harness, &stale).await));
    assert_still_held(harness, &message).await;
}

pub async fn a_stale_receipt_dead_letters_nothing(harness: &impl QueueHarness) {
    let (stale, message) = redelivered(harness).await;
    assert!(is_stale(&harness.queue().dead_letter(&Message { receipt: stale, ..message.clone() }, "stale").await));
    assert_eq!(harness.queue().dead_letters(10).await.unwrap(), []);
    assert_still_held(harness, &message).await;
}

pub async fn a_deleted_message_has_only_stale_receipts(harness: &impl QueueHarness) {
    send(harness, "gone").await;
    let message = take_one(harness, LONG).await;
    delete(harness, &message.receipt).await.unwrap();
    assert!(is_stale(&hide(harness, &message.receipt, LONG).await));
    assert!(is_stale(&release(harness, &message.receipt).await));
    assert!(is_stale(&harness.queue().dead_letter(&message, "gone").await));
    assert_eq!(harness.queue().dead_letters(10).await.unwrap(), []);
}

pub async fn a_heartbeat_keeps_a_message_hidden(harness: &impl QueueHarness) {
    send(harness, "long work").await;
    let message = take_one(harness, SHORT).await;
    for _ in 0..3 {
        harness.advance(SHORT / 2).await;
        hide(harness, &message.receipt, SHORT).await.unwrap();
        assert_nothing_visible(harness).await;
    }
    harness.advance(SHORT).await;
    assert_eq!(take_one(harness, LONG).await.receive_count, 2);
}

pub async fn a_visibility_of_zero_shows_a_message_at_once(harness: &impl QueueHarness) {
    send(harness, "retry").await;
    let message = take_one(harness, LONG).await;
    hide(harness, &message.receipt, Duration::ZERO).await.unwrap();
    assert_eq!(take_one(harness, LONG).await.receive_count, 2);
}

pub async fn a_released_message_is_visible_at_once_and_uncounted(harness: &impl QueueHarness) {
    send(harness, "handed back").await;
    for _ in 0..=harness.max_receive_count() {
        let message = take_one(harness, LONG).await;
        if harness.is_exact() {
            assert_eq!(message.receive_count, 1);
        } else if message.receive_count == harness.max_receive_count() {
            return;
        }
        release(harness, &message.receipt).await.unwrap();
    }
    assert_eq!(harness.queue().dead_letters(10).await.unwrap(), []);
}

pub async fn a_message_released_with_a_pause_comes_back_after_it_behind_the_others(harness: &impl QueueHarness) {
    send(harness, "first").await;
    let receipts = [take_one(harness, LONG).await.receipt];
    harness.advance(Duration::from_secs(1)).await;
    send(harness, "second").await;
    harness.queue().release(&receipts, SHORT).await.unwrap().remove(0).unwrap();
    harness.advance(SHORT).await;
    let messages = take_all(harness, 2).await;
    if harness.is_exact() {
        let received: Vec<_> = messages.iter().map(|message| (message.body.as_str(), message.receive_count)).collect();
        assert_eq!(received, [("second", 1), ("first", 1)]);
    }
}

pub async fn a_release_ends_the_receipt(harness: &impl QueueHarness) {
    send(harness, "handed back").await;
    let receipt = take_one(harness, LONG).await.receipt;
    release(harness, &receipt).await.unwrap();
    if harness.is_exact() {
        assert!(is_stale(&release(harness, &receipt).await));
        assert!(is_stale(&hide(harness, &receipt, LONG).await));
        assert!(is_stale(&delete(harness, &receipt).await));
    }
    assert_eq!(take_one(harness, LONG).await.body, "handed back");
}

pub async fn a_retried_message_comes_back_after_its_pause_and_counted(harness: &impl QueueHarness) {
    let id = send(harness, "once more").await;
    let message = take_one(harness, LONG).await;
    retry(harness, &message.receipt, SHORT).await.unwrap();
    assert_nothing_visible(harness).await;
    if harness.is_exact() {
        let stats = harness.queue().stats().await.unwrap();
        assert_eq!((stats.in_flight, stats.delayed), (0, 1));
    }
    harness.advance(SHORT).await;
    let message = take_one(harness, LONG).await;
    assert_eq!((message.id, message.receive_count), (id, 2));
}

pub async fn a_message_dies_after_its_last_retry(harness: &impl QueueHarness) {
    let id = send(harness, "poison").await;
    for _ in 0..harness.max_receive_count() {
        let message = take_one(harness, LONG).await;
        retry(harness, &message.receipt, Duration::ZERO).await.unwrap();
    }
    assert_nothing_visible(harness).await;
    assert!(harness.queue().find_dead_letter(&id).await.unwrap().is_some());
}

pub async fn a_retry_ends_the_receipt(harness: &impl QueueHarness) {
    send(harness, "once more").await;
    let receipt = take_one(harness, LONG).await.receipt;
    retry(harness, &receipt, Duration::ZERO).await.unwrap();
    if harness.is_exact() {
        assert!(is_stale(&retry(harness, &receipt, LONG).await));
        assert!(is_stale(&hide(harness, &receipt, LONG).await));
        assert!(is_stale(&delete(harness, &receipt).await));
    }
    assert_eq!(take_one(harness, LONG).await.receive_count, 2);
}

pub async fn a_stale_receipt_retries_nothing(harness: &impl QueueHarness) {
    let (stale, message) = redelivered(harness).await;
    assert!(is_stale(&retry(harness, &stale, Duration::ZERO).await));
    assert_still_held(harness, &message).await;
}

pub async fn a_visibility_over_the_limit_is_invalid(harness: &impl QueueHarness) {
    send(harness, "x").await;
    let receipts = [take_one(harness, LONG).await.receipt];
    let visibility = MAX_VISIBILITY + Duration::from_secs(1);
    assert!(is_invalid(&harness.queue().change_visibility(&receipts, visibility).await));
    assert!(is_invalid(&harness.queue().retry(&receipts, visibility).await));
    assert!(is_invalid(&harness.queue().release(&receipts, visibility).await));
}

pub async fn a_message_is_hidden_for_twelve_hours_at_most(harness: &impl QueueHarness) {
    if !harness.bounds_visibility() {
        return;
    }
    send(harness, "x").await;
    let receipt = take_one(harness, LONG).await.receipt;
    harness.advance(SHORT).await;
    assert!(is_invalid(&hide(harness, &receipt, MAX_VISIBILITY).await));
    assert!(is_invalid(&retry(harness, &receipt, MAX_VISIBILITY).await));
    hide(harness, &receipt, MAX_VISIBILITY - LONG).await.unwrap();
    assert_nothing_visible(harness).await;
}

pub async fn a_batch_answers_each_receipt_in_order(harness: &impl QueueHarness) {
    let (stale, good) = redelivered(harness).await;
    send(harness, "other").await;
    let other = take_one(harness, LONG).await;
    let answers = harness.queue().delete(&[good.receipt, stale, other.receipt]).await.unwrap();
    // The stale one comes after its message was deleted, and a message that is gone counts as deleted.
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");

    let (stale, good) = redelivered(harness).await;
    let answers = harness.queue().change_visibility(&[stale, good.receipt], Duration::ZERO).await.unwrap();
    assert!(is_stale(&answers[0]) && answers[1].is_ok(), "{answers:?}");
    take_all(harness, 1).await;
}

pub async fn a_batch_of_none_or_eleven_receipts_is_invalid(harness: &impl QueueHarness) {
    send(harness, "x").await;
    let message = receive(harness, 1, PATIENCE, LONG).await.remove(0);
    for receipts in [Vec::new(), vec![message.receipt.clone(); 11]] {
        assert!(is_invalid(&harness.queue().delete(&receipts).await));
        assert!(is_invalid(&harness.queue().change_visibility(&receipts, LONG).await));
        assert!(is_invalid(&harness.queue().release(&receipts, LONG).await));
        assert!(is_invalid(&harness.queue().retry(&receipts, LONG).await));
    }
    delete(harness, &message.receipt).await.unwrap();
}

pub async fn a_foreign_receipt_is_invalid(harness: &impl QueueHarness) {
    let foreign = Receipt("no receipt of this queue".to_owned());
    send(harness, "x").await;
    let message = take_one(harness, LONG).await;
    assert!(is_invalid(&delete(harness, &foreign).await));
    assert!(is_invalid(&hide(harness, &foreign, LONG).await));
    assert!(is_invalid(&release(harness, &foreign).await));
    assert!(is_invalid(&retry(harness, &foreign, LONG).await));
    assert!(is_invalid(&harness.queue().dead_letter(&Message { receipt: foreign, ..message }, "foreign").await));
}
