//! What a receive takes.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;

use super::{
    LONG, PATIENCE, QueueHarness, SHORT, assert_nothing_visible, bodies, is_invalid, receive, send, take_all, take_one,
};
use crate::ports::queue::{MAX_VISIBILITY, MAX_WAIT, Message, NewMessage, Receive};

pub async fn a_message_in_flight_is_hidden(harness: &impl QueueHarness) {
    send(harness, "once").await;
    take_one(harness, LONG).await;
    assert_nothing_visible(harness).await;
}

pub async fn a_message_returns_after_its_visibility_timeout(harness: &impl QueueHarness) {
    send(harness, "again").await;
    let first = take_one(harness, SHORT).await;
    harness.advance(SHORT).await;
    let second = take_one(harness, LONG).await;
    assert_ne!(first.receipt, second.receipt);
    let expected = Message { receipt: second.receipt.clone(), receive_count: 2, ..first };
    assert_eq!(second, expected);
}

pub async fn a_visibility_of_zero_hides_nothing(harness: &impl QueueHarness) {
    send(harness, "seen").await;
    let messages = receive(harness, 10, PATIENCE, Duration::ZERO).await;
    assert_eq!(bodies(&messages), ["seen"]);
    assert_eq!(take_one(harness, LONG).await.receive_count, 2);
}

pub async fn receive_takes_at_most_max(harness: &impl QueueHarness) {
    for number in 0..5 {
        send(harness, &number.to_string()).await;
    }
    let first = receive(harness, 3, PATIENCE, LONG).await;
    assert!((1..=3).contains(&first.len()), "took {}", first.len());
    take_all(harness, 5 - first.len()).await;
    assert_nothing_visible(harness).await;
}

pub async fn receive_is_oldest_first(harness: &impl QueueHarness) {
    let sent: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
    for body in &sent {
        send(harness, body).await;
    }
    let messages = take_all(harness, 20).await;
    let mut received = bodies(&messages);
    if !harness.is_exact() {
        received.sort_unstable();
    }
    assert_eq!(received, sent);
}

pub async fn receive_over_a_limit_is_invalid(harness: &impl QueueHarness) {
    let second = Duration::from_secs(1);
    let good = Receive { max: 1, wait: Duration::ZERO, visibility: LONG };
    let bad = [
        Receive { max: 0, ..good },
        Receive { max: 11, ..good },
        Receive { wait: MAX_WAIT + second, ..good },
        Receive { visibility: MAX_VISIBILITY + second, ..good },
    ];
    for request in bad {
        assert!(is_invalid(&harness.queue().receive(request).await), "{request:?} was accepted");
    }
    let widest = Receive { max: 10, visibility: MAX_VISIBILITY, ..good };
    assert!(harness.queue().receive(widest).await.unwrap().is_empty());
}

pub async fn twenty_receivers_get_each_of_200_messages_once(harness: &impl QueueHarness) {
    for batch in 0..20 {
        let message = |number| NewMessage::new(format!("{batch}-{number}"), Default::default());
        harness.queue().send_batch((0..10).map(message).collect()).await.unwrap();
    }
    let receiver = || async {
        let mut received = Vec::new();
        loop {
            let messages = receive(harness, 3, Duration::from_secs(1), LONG).await;
            if messages.is_empty() {
                return received;
            }
            received.extend(messages);
        }
    };
    let mut deliveries: HashMap<String, u32> = HashMap::new();
    for message in join_all((0..20).map(|_| receiver())).await.into_iter().flatten() {
        *deliveries.entry(message.body).or_default() += 1;
    }
    assert_eq!(deliveries.len(), 200);
    if !harness.is_exact() {
        return;
    }
    let twice: Vec<_> = deliveries.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "delivered more than once: {twice:?}");
}

/// The receive is dropped before, while or after the queue serves it.
pub async fn a_dropped_receive_loses_nothing(harness: &impl QueueHarness) {
    let queue = harness.queue();
    for number in 0..30_u32 {
        let mut waiting = queue.receive(Receive { max: 10, wait: PATIENCE, visibility: SHORT });
        assert!(poll!(waiting.as_mut()).is_pending(), "nothing was sent yet");
        let id = send(harness, &number.to_string()).await;
        let moments = Duration::from_micros(u64::from(number) * 100);
        let message = match tokio::time::timeout(moments, &mut waiting).await {
            Ok(messages) => messages.unwrap().remove(0),
            Err(_) => {
                drop(waiting);
                take_after_drop(harness).await
            }
        };
        assert_eq!(message.id, id);
        queue.delete(&[message.receipt]).await.unwrap().remove(0).unwrap();
    }
}

async fn take_after_drop(harness: &impl QueueHarness) -> Message {
    if !harness.is_exact() {
        harness.advance(SHORT).await;
        return take_one(harness, LONG).await;
    }
    let message = take_one(harness, LONG).await;
    assert_eq!(message.receive_count, 1, "the dropped receive counted");
    message
}
