//! The queue's conformance suite on the version in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::clock::Clock;
use chassis::ids::Ids;
use chassis::ports::{MemoryQueue, NewMessage, Queue, QueueError, Receive};
use chassis::testing::ManualClock;
use chassis::testing::queue_suite::QueueHarness;
use jiff::Timestamp;

struct Harness {
    queue: Arc<MemoryQueue>,
    clock: Arc<ManualClock>,
}

const MAX_RECEIVE_COUNT: u32 = 3;

async fn harness() -> Option<Harness> {
    let clock = ManualClock::new();
    let queue = MemoryQueue::new(clock.clone(), Ids::seeded(clock.clone(), 1), MAX_RECEIVE_COUNT);
    Some(Harness { queue, clock })
}

#[async_trait]
impl QueueHarness for Harness {
    fn queue(&self) -> Arc<dyn Queue> {
        self.queue.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn max_receive_count(&self) -> u32 {
        MAX_RECEIVE_COUNT
    }
}

chassis::queue_conformance!(harness);

#[tokio::test]
async fn an_unavailable_queue_fails_every_call_and_loses_nothing() {
    let Harness { queue, .. } = harness().await.unwrap();
    queue.send(NewMessage::new("kept", BTreeMap::new())).await.unwrap();
    queue.set_unavailable(true);
    let request = Receive { max: 1, wait: Duration::ZERO, visibility: Duration::from_secs(1) };
    assert!(matches!(queue.receive(request).await, Err(QueueError::Unavailable(_))));
    assert!(matches!(queue.ping().await, Err(QueueError::Unavailable(_))));
    assert!(matches!(queue.stats().await, Err(QueueError::Unavailable(_))));
    queue.set_unavailable(false);
    assert_eq!(queue.receive(request).await.unwrap().len(), 1);
}

#[tokio::test]
async fn printing_a_message_shows_nothing_of_it() {
    let Harness { queue, .. } = harness().await.unwrap();
    let attributes = BTreeMap::from([("source".to_owned(), "canary-attribute".to_owned())]);
    let sent = NewMessage::new("canary-body", attributes);
    let mut printed = format!("{sent:?}");
    let id = queue.send(sent).await.unwrap();
    let request = Receive { max: 1, wait: Duration::ZERO, visibility: Duration::from_secs(1) };
    let message = queue.receive(request).await.unwrap().remove(0);
    printed += &format!("{message:?}");
    queue.dead_letter(&message, "bad").await.unwrap();
    printed += &format!("{:?}", queue.find_dead_letter(&id).await.unwrap());
    assert!(!printed.contains("canary"), "{printed}");
    assert_eq!(printed.matches("body_bytes: 11").count(), 3, "{printed}");
}
