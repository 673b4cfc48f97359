//! The conformance suite of [`Queue`]: what every adapter and decorator must do.
//!
//! `chassis::queue_conformance!(make_harness)` in a test module makes one named test per case. Times are whole
//! seconds, since SQS knows no finer ones.
#![expect(missing_docs, reason = "the name of a case is a sentence")]
#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

mod admin;
mod dead_letters;
mod leases;
mod receiving;
mod sending;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub use admin::*;
pub use dead_letters::*;
pub use leases::*;
pub use receiving::*;
pub use sending::*;
pub use waiting::*;

use crate::ports::queue::{Message, MessageId, NewMessage, Queue, QueueError, Receipt, Receive};

/// A fresh, empty queue and the time that it lives in. Owns whatever must outlive the queue, such as a folder.
#[async_trait]
pub trait QueueHarness: Send + Sync {
    /// The queue under test.
    fn queue(&self) -> Arc<dyn Queue>;

    /// The queue's time.
    fn now(&self) -> Timestamp;

    /// Lets the queue's time pass: turns a manual clock, or sleeps.
    async fn advance(&self, by: Duration);

    /// How often the queue delivers a message before it gives it up.
    fn max_receive_count(&self) -> u32;

    /// Whether order is exact, nothing is delivered twice within its visibility, handed-back deliveries are uncounted
    /// and ages are told; nothing of it holds on SQS.
    fn is_exact(&self) -> bool {
        true
    }

    /// Whether the server holds [`MAX_VISIBILITY`](crate::ports::queue::MAX_VISIBILITY) against the time since the receive. SQS does, its emulators do not.
    fn bounds_visibility(&self) -> bool {
        true
    }

    /// How soon a waiting receive must answer after a change.
    fn wakes_within(&self) -> Duration {
        Duration::from_millis(700)
    }
}

/// A visibility timeout that a case lets run out.
const SHORT: Duration = Duration::from_secs(2);
/// A visibility timeout that stays.
const LONG: Duration = Duration::from_secs(60);
/// The wait for a message that must be there.
const PATIENCE: Duration = Duration::from_secs(5);

async fn send(harness: &impl QueueHarness, body: &str) -> MessageId {
    harness.queue().send(NewMessage::new(body, BTreeMap::new())).await.unwrap()
}

async fn receive(harness: &impl QueueHarness, max: usize, wait: Duration, visibility: Duration) -> Vec<Message> {
    harness.queue().receive(Receive { max, wait, visibility }).await.unwrap()
}

/// Receives the one message that must be there.
async fn take_one(harness: &impl QueueHarness, visibility: Duration) -> Message {
    let mut messages = receive(harness, 1, PATIENCE, visibility).await;
    assert_eq!(messages.len(), 1, "expected a message");
    messages.remove(0)
}

/// Receives until there are `expected` messages or no more come.
async fn take_all(harness: &impl QueueHarness, expected: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < expected {
        let more = receive(harness, 10, PATIENCE, LONG).await;
        assert!(!more.is_empty(), "got {} messages, expected {expected}", messages.len());
        messages.extend(more);
    }
    messages
}

async fn assert_nothing_visible(harness: &impl QueueHarness) {
    let messages = receive(harness, 10, Duration::ZERO, LONG).await;
    assert!(messages.is_empty(), "expected nothing, received {messages:?}");
}

/// A message that was received, ran out of its visibility and was received again: the stale receipt, and the message
/// with its good one.
async fn redelivered(harness: &impl QueueHarness) -> (Receipt, Message) {
    send(harness, "twice").await;
    let first = take_one(harness, SHORT).await;
    harness.advance(SHORT).await;
    let second = take_one(harness, LONG).await;
    assert_eq!(second.id, first.id);
    (first.receipt, second)
}

fn is_invalid<T>(outcome: &Result<T, QueueError>) -> bool {
    matches!(outcome, Err(QueueError::Invalid(_)))
}

fn is_stale<T>(outcome: &Result<T, QueueError>) -> bool {
    matches!(outcome, Err(QueueError::StaleReceipt))
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

/// One named test per case of the queue's contract; see [`queue_suite`](crate::testing::queue_suite).
#[macro_export]
macro_rules! queue_conformance {
    ($make:path) => {
        $crate::conformance_cases!(
            $make,
            queue_suite,
            [
                // sending
                a_received_message_is_as_it_was_sent,
                ids_come_in_the_order_of_the_batch,
                a_batch_of_none_or_eleven_is_invalid,
                one_mebibyte_exactly_is_accepted,
                one_byte_over_the_limit_is_too_large,
                attributes_count_against_the_limit,
                a_batch_over_one_mebibyte_is_too_large,
                one_invalid_entry_fails_alone,
                invalid_messages_are_refused,
                ten_attributes_are_accepted,
                a_delayed_message_appears_when_it_is_due,
                // receiving
                a_message_in_flight_is_hidden,
                a_message_returns_after_its_visibility_timeout,
                a_visibility_of_zero_hides_nothing,
                receive_takes_at_most_max,
                receive_is_oldest_first,
                receive_over_a_limit_is_invalid,
                twenty_receivers_get_each_of_200_messages_once,
                a_dropped_receive_loses_nothing,
                // leases
                a_deleted_message_is_gone,
                deleting_twice_is_fine,
                the_last_receipt_deletes_after_the_visibility_ran_out,
                a_stale_receipt_deletes_nothing,
                a_stale_receipt_changes_no_visibility,
                a_stale_receipt_releases_nothing,
                a_stale_receipt_dead_letters_nothing,
                a_deleted_message_has_only_stale_receipts,
                a_heartbeat_keeps_a_message_hidden,
                a_visibility_of_zero_shows_a_message_at_once,
                a_released_message_is_visible_at_once_and_uncounted,
                a_message_released_with_a_pause_comes_back_after_it_behind_the_others,
                a_release_ends_the_receipt,
                a_retried_message_comes_back_after_its_pause_and_counted,
                a_message_dies_after_its_last_retry,
                a_retry_ends_the_receipt,
                a_stale_receipt_retries_nothing,
                a_visibility_over_the_limit_is_invalid,
                a_message_is_hidden_for_twelve_hours_at_most,
                a_batch_answers_each_receipt_in_order,
                a_batch_of_none_or_eleven_receipts_is_invalid,
                a_foreign_receipt_is_invalid,
                // dead letters
                a_message_dies_after_its_last_delivery,
                a_dead_letter_does_not_hold_up_others,
                a_message_is_dead_lettered_with_a_reason,
                a_list_of_dead_letters_tells_sizes_and_shows_no_bodies,
                dead_letters_come_oldest_death_first,
                a_dead_letter_is_found_by_its_id,
                redrive_of_all_brings_every_message_back,
                redrive_of_ids_passes_over_unknown_ones,
                a_redriven_message_starts_anew,
                the_receipt_from_before_a_redrive_is_stale,
                purged_dead_letters_are_gone,
                a_purge_of_ids_passes_over_unknown_ones,
                // waiting
                a_long_poll_ends_when_a_message_is_sent,
                a_long_poll_ends_when_a_message_is_released,
                a_long_poll_ends_when_a_message_is_shown,
                a_long_poll_ends_when_a_message_is_retried,
                a_long_poll_ends_when_a_message_is_redriven,
                a_long_poll_ends_when_a_delay_is_over,
                a_long_poll_ends_when_a_visibility_runs_out,
                a_long_poll_without_messages_ends_empty_after_its_wait,
                a_receive_without_wait_answers_at_once,
                // administration
                purge_deletes_hidden_and_delayed_messages_too,
                stats_count_every_state,
                stats_of_an_empty_queue_are_zero,
                a_working_queue_answers_pings,
            ]
        );
    };
}
