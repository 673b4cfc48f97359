//! What is sent, and what is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

use super::{LONG, QueueHarness, assert_nothing_visible, bodies, is_invalid, take_all, take_one};
use crate::ports::queue::{Attributes, MAX_DELAY, MAX_MESSAGE_BYTES, NewMessage, QueueError};

fn plain(body: impl Into<String>) -> NewMessage {
    NewMessage::new(body, BTreeMap::new())
}

fn attributes(count: usize) -> Attributes {
    (0..count).map(|number| (format!("name{number}"), "value".to_owned())).collect()
}

pub async fn a_received_message_is_as_it_was_sent(harness: &impl QueueHarness) {
    let body = "{\"text\": \"Grüße, 世界 🚀 \\u0000 \\\"\",\n\t\"n\": 1.50}";
    let attributes = Attributes::from([
        ("correlation_id".to_owned(), "abc-123".to_owned()),
        ("unicode".to_owned(), "naïve ☃ 'quote' \"double\"".to_owned()),
    ]);
    let before = harness.now();
    let id = harness.queue().send(NewMessage::new(body, attributes.clone())).await.unwrap();
    let message = take_one(harness, LONG).await;
    assert_eq!((message.id, message.body.as_str()), (id, body));
    assert_eq!(message.attributes, attributes);
    assert_eq!(message.receive_count, 1);
    let off_by = message.sent_at.duration_since(before).abs();
    assert!(off_by < SignedDuration::from_secs(30), "sent_at {} is not about {before}", message.sent_at);
}

pub async fn ids_come_in_the_order_of_the_batch(harness: &impl QueueHarness) {
    let batch = (0..10).map(|number| plain(format!("body {number}"))).collect();
    let ids: Vec<_> = harness.queue().send_batch(batch).await.unwrap().into_iter().map(Result::unwrap).collect();
    let messages = take_all(harness, 10).await;
    for (number, id) in ids.iter().enumerate() {
        let message = messages.iter().find(|message| message.id == *id).unwrap();
        assert_eq!(message.body, format!("body {number}"));
    }
}

pub async fn a_batch_of_none_or_eleven_is_invalid(harness: &impl QueueHarness) {
    assert!(is_invalid(&harness.queue().send_batch(Vec::new()).await));
    assert!(is_invalid(&harness.queue().send_batch(vec![plain("x"); 11]).await));
    assert_nothing_visible(harness).await;
}

pub async fn one_mebibyte_exactly_is_accepted(harness: &impl QueueHarness) {
    let body = "x".repeat(MAX_MESSAGE_BYTES);
    harness.queue().send(plain(body.clone())).await.unwrap();
    assert!(take_one(harness, LONG).await.body == body, "the body changed");
}

pub async fn one_byte_over_the_limit_is_too_large(harness: &impl QueueHarness) {
    let outcome = harness.queue().send(plain("x".repeat(MAX_MESSAGE_BYTES + 1))).await;
    let size_bytes = MAX_MESSAGE_BYTES + 1;
    assert!(matches!(outcome, Err(QueueError::TooLarge { size_bytes: found }) if found == size_bytes));
    assert_nothing_visible(harness).await;
}

pub async fn attributes_count_against_the_limit(harness: &impl QueueHarness) {
    let attributes = attributes(1);
    let attribute_bytes = NewMessage::new("", attributes.clone()).size_bytes();
    assert!(attribute_bytes > 0);
    let body = "x".repeat(MAX_MESSAGE_BYTES - attribute_bytes);
    harness.queue().send(NewMessage::new(body.clone(), attributes.clone())).await.unwrap();
    let outcome = harness.queue().send(NewMessage::new(body + "x", attributes)).await;
    assert!(matches!(outcome, Err(QueueError::TooLarge { .. })));
}

pub async fn a_batch_over_one_mebibyte_is_too_large(harness: &impl QueueHarness) {
    let half = "x".repeat(MAX_MESSAGE_BYTES / 2);
    let outcome = harness.queue().send_batch(vec![plain(half.clone()), plain(half.clone() + "x")]).await;
    assert!(matches!(outcome, Err(QueueError::TooLarge { .. })));
    assert_nothing_visible(harness).await;
    let answers = harness.queue().send_batch(vec![plain(half.clone()), plain(half)]).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
}

pub async fn one_invalid_entry_fails_alone(harness: &impl QueueHarness) {
    let batch = vec![plain("first"), plain(""), plain("third")];
    let answers = harness.queue().send_batch(batch).await.unwrap();
    assert!(answers[0].is_ok() && is_invalid(&answers[1]) && answers[2].is_ok(), "{answers:?}");
    let messages = take_all(harness, 2).await;
    let mut bodies = bodies(&messages);
    bodies.sort_unstable();
    assert_eq!(bodies, ["first", "third"]);
    assert_nothing_visible(harness).await;
}

pub async fn invalid_messages_are_refused(harness: &impl QueueHarness) {
    let with = |name: &str, value: &str| Attributes::from([(name.to_owned(), value.to_owned())]);
    let too_late = NewMessage { delay: MAX_DELAY + Duration::from_secs(1), ..plain("late") };
    let invalid = [
        ("an empty body", plain("")),
        ("eleven attributes", NewMessage::new("x", attributes(11))),
        ("an empty attribute value", NewMessage::new("x", with("name", ""))),
        ("an empty attribute name", NewMessage::new("x", with("", "value"))),
        ("a delay over the limit", too_late),
    ];
    for (what, message) in invalid {
        assert!(is_invalid(&harness.queue().send(message).await), "{what} was accepted");
    }
    assert_nothing_visible(harness).await;
}

pub async fn ten_attributes_are_accepted(harness: &impl QueueHarness) {
    harness.queue().send(NewMessage::new("x", attributes(10))).await.unwrap();
    assert_eq!(take_one(harness, LONG).await.attributes, attributes(10));
}

pub async fn a_delayed_message_appears_when_it_is_due(harness: &impl QueueHarness) {
    let delay = Duration::from_secs(2);
    harness.queue().send(NewMessage { delay, ..plain("late") }).await.unwrap();
    assert_nothing_visible(harness).await;
    harness.advance(delay).await;
    let message = take_one(harness, LONG).await;
    assert_eq!((message.body.as_str(), message.receive_count), ("late", 1));
}
