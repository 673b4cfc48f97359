//! How messages die, and how they come back.

use std::time::Duration;

use super::{LONG, PATIENCE, QueueHarness, SHORT, assert_nothing_visible, is_stale, receive, send, take_all, take_one};
use crate::ports::queue::{Attributes, DeadLetter, DeadLetterSummary, DeadLetters, MessageId, NewMessage};

async fn dead_letters(harness: &impl QueueHarness) -> Vec<DeadLetterSummary> {
    harness.queue().dead_letters(100).await.unwrap()
}

/// Sends a message and kills it; answers its id.
async fn killed(harness: &impl QueueHarness, body: &str, reason: &str) -> MessageId {
    let id = send(harness, body).await;
    let message = take_one(harness, LONG).await;
    assert_eq!(message.id, id, "another message was in the way");
    harness.queue().dead_letter(&message, reason).await.unwrap();
    id
}

/// Receives what is visible so often that it dies, with `visibility` between deliveries.
async fn wear_out(harness: &impl QueueHarness) {
    for delivery in 1..=harness.max_receive_count() {
        let message = take_one(harness, SHORT).await;
        assert_eq!(message.receive_count, delivery);
        harness.advance(SHORT).await;
    }
}

pub async fn a_message_dies_after_its_last_delivery(harness: &impl QueueHarness) {
    let id = send(harness, "poison").await;
    wear_out(harness).await;
    assert_nothing_visible(harness).await;
    let letters = dead_letters(harness).await;
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0].id, letters[0].size_bytes), (&id, "poison".len() as u64));
    assert_eq!(letters[0].receive_count, harness.max_receive_count());
    assert!(!letters[0].reason.is_empty());
    assert!(letters[0].dead_at > letters[0].sent_at);
}

pub async fn a_dead_letter_does_not_hold_up_others(harness: &impl QueueHarness) {
    send(harness, "poison").await;
    wear_out(harness).await;
    send(harness, "healthy").await;
    assert_eq!(take_one(harness, LONG).await.body, "healthy");
}

pub async fn a_message_is_dead_lettered_with_a_reason(harness: &impl QueueHarness) {
    let attributes = Attributes::from([("source".to_owned(), "/submit".to_owned())]);
    harness.queue().send(NewMessage::new("not JSON", attributes.clone())).await.unwrap();
    let message = take_one(harness, SHORT).await;
    harness.queue().dead_letter(&message, "not a JSON object").await.unwrap();
    harness.advance(SHORT).await;
    assert_nothing_visible(harness).await;
    let letter = harness.queue().find_dead_letter(&message.id).await.unwrap().unwrap();
    let expected = DeadLetter {
        id: message.id,
        body: "not JSON".to_owned(),
        attributes,
        sent_at: message.sent_at,
        receive_count: 1,
        reason: "not a JSON object".to_owned(),
        dead_at: letter.dead_at,
    };
    assert_eq!(letter, expected);
}

pub async fn a_list_of_dead_letters_tells_sizes_and_shows_no_bodies(harness: &impl QueueHarness) {
    let id = killed(harness, "Grüße", "bad").await;
    let DeadLetter { id, body, attributes, sent_at, receive_count, reason, dead_at } =
        harness.queue().find_dead_letter(&id).await.unwrap().unwrap();
    let size_bytes = body.len() as u64;
    let expected = DeadLetterSummary { id, size_bytes, attributes, sent_at, receive_count, reason, dead_at };
    assert_eq!(dead_letters(harness).await, [expected]);
}

pub async fn dead_letters_come_oldest_death_first(harness: &impl QueueHarness) {
    let mut ids = Vec::new();
    for body in ["first", "second", "third"] {
        ids.push(killed(harness, body, "bad").await);
        harness.advance(Duration::from_secs(1)).await;
    }
    let found = |letters: Vec<DeadLetterSummary>| letters.into_iter().map(|letter| letter.id).collect::<Vec<_>>();
    assert_eq!(found(dead_letters(harness).await), ids);
    assert_eq!(found(harness.queue().dead_letters(2).await.unwrap()), ids[..2]);
    assert_eq!(harness.queue().dead_letters(0).await.unwrap(), []);
}

pub async fn a_dead_letter_is_found_by_its_id(harness: &impl QueueHarness) {
    let id = killed(harness, "bad", "why").await;
    let alive = send(harness, "alive").await;
    let letter = harness.queue().find_dead_letter(&id).await.unwrap().unwrap();
    assert_eq!((letter.body.as_str(), letter.reason.as_str()), ("bad", "why"));
    for absent in [alive, MessageId("unknown".to_owned())] {
        assert_eq!(harness.queue().find_dead_letter(&absent).await.unwrap(), None);
    }
}

pub async fn redrive_of_all_brings_every_message_back(harness: &impl QueueHarness) {
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(killed(harness, &number.to_string(), "bad").await);
    }
    assert_eq!(harness.queue().redrive(DeadLetters::All).await.unwrap(), 12);
    assert_eq!(dead_letters(harness).await, []);
    let mut received: Vec<_> = take_all(harness, 12).await.into_iter().map(|message| message.id).collect();
    received.sort();
    ids.sort();
    assert_eq!(received, ids);
    assert_eq!(harness.queue().redrive(DeadLetters::All).await.unwrap(), 0);
}

pub async fn redrive_of_ids_passes_over_unknown_ones(harness: &impl QueueHarness) {
    let stays = killed(harness, "stays", "bad").await;
    let returns = killed(harness, "returns", "bad").await;
    let which = DeadLetters::Ids(vec![MessageId("unknown".to_owned()), returns.clone(), returns.clone()]);
    assert_eq!(harness.queue().redrive(which).await.unwrap(), 1);
    assert_eq!(take_one(harness, LONG).await.id, returns);
    let left: Vec<_> = dead_letters(harness).await.into_iter().map(|letter| letter.id).collect();
    assert_eq!(left, [stays]);
    assert_eq!(harness.queue().redrive(DeadLetters::Ids(Vec::new())).await.unwrap(), 0);
}

pub async fn a_redriven_message_starts_anew(harness: &impl QueueHarness) {
    let attributes = Attributes::from([("correlation_id".to_owned(), "c-1".to_owned())]);
    let id = harness.queue().send(NewMessage::new("poison", attributes.clone())).await.unwrap();
    let sent_at = take_one(harness, SHORT).await.sent_at;
    harness.advance(SHORT).await;
    for _ in 1..harness.max_receive_count() {
        receive(harness, 1, PATIENCE, SHORT).await;
        harness.advance(SHORT).await;
    }
    assert_nothing_visible(harness).await;
    harness.queue().redrive(DeadLetters::All).await.unwrap();
    let message = take_one(harness, LONG).await;
    assert_eq!((message.id, message.sent_at, message.receive_count), (id, sent_at, 1));
    assert_eq!((message.body.as_str(), message.attributes), ("poison", attributes));
}

pub async fn the_receipt_from_before_a_redrive_is_stale(harness: &impl QueueHarness) {
    send(harness, "bad").await;
    let message = take_one(harness, LONG).await;
    harness.queue().dead_letter(&message, "bad").await.unwrap();
    harness.queue().redrive(DeadLetters::All).await.unwrap();
    assert!(is_stale(&harness.queue().delete(std::slice::from_ref(&message.receipt)).await.unwrap().remove(0)));
    assert!(is_stale(&harness.queue().dead_letter(&message, "again").await));
    assert_eq!(take_one(harness, LONG).await.body, "bad");
}

pub async fn purged_dead_letters_are_gone(harness: &impl QueueHarness) {
    killed(harness, "one", "bad").await;
    let id = killed(harness, "two", "bad").await;
    send(harness, "alive").await;
    assert_eq!(harness.queue().purge_dead_letters(DeadLetters::All).await.unwrap(), 2);
    assert_eq!(dead_letters(harness).await, []);
    assert_eq!(harness.queue().find_dead_letter(&id).await.unwrap(), None);
    assert_eq!(harness.queue().redrive(DeadLetters::Ids(vec![id])).await.unwrap(), 0);
    assert_eq!(take_one(harness, LONG).await.body, "alive");
}

pub async fn a_purge_of_ids_passes_over_unknown_ones(harness: &impl QueueHarness) {
    let stays = killed(harness, "stays", "bad").await;
    let goes = killed(harness, "goes", "bad").await;
    let alive = send(harness, "alive").await;
    let which = DeadLetters::Ids(vec![MessageId("unknown".to_owned()), goes.clone(), alive, goes.clone()]);
    assert_eq!(harness.queue().purge_dead_letters(which).await.unwrap(), 1);
    let left: Vec<_> = dead_letters(harness).await.into_iter().map(|letter| letter.id).collect();
    assert_eq!(left, [stays]);
    assert_eq!(harness.queue().find_dead_letter(&goes).await.unwrap(), None);
    assert_eq!(harness.queue().purge_dead_letters(DeadLetters::Ids(Vec::new())).await.unwrap(), 0);
    assert_eq!(harness.queue().stats().await.unwrap().dead, Some(1));
    assert_eq!(take_one(harness, LONG).await.body, "alive");
}
