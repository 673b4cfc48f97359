//! The queue on SQS: the conformance suite on two emulators.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::QueueAttributeName;
use backends::aws::SqsQueue;
use chassis::clock::{Clock, SystemClock};
use chassis::ports::queue::Attributes;
use chassis::ports::{NewMessage, Queue, QueueError};
use chassis::testing::queue_suite::QueueHarness;
use jiff::Timestamp;

use crate::emulators;

const MAX_RECEIVE_COUNT: u32 = 3;
/// Emulators let a message go some milliseconds late.
const TOLERANCE: Duration = Duration::from_millis(200);

struct Harness {
    queue: Arc<SqsQueue>,
    clock: Arc<dyn Clock>,
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
        tokio::time::sleep(by + TOLERANCE).await;
    }

    fn max_receive_count(&self) -> u32 {
        MAX_RECEIVE_COUNT
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn bounds_visibility(&self) -> bool {
        false
    }

    fn wakes_within(&self) -> Duration {
        Duration::from_secs(2)
    }
}

/// A client of the test's own, for what the product has no right to do.
fn client(endpoint: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKIDEMULATOR", "emulated-secret-key", None, None, "tests"))
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

async fn create(client: &Client, name: &str, redrive_policy: Option<String>) -> String {
    let request = client.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, "30");
    let request = match redrive_policy {
        Some(policy) => request.attributes(QueueAttributeName::RedrivePolicy, policy),
        None => request,
    };
    request.send().await.unwrap().queue_url.unwrap()
}

/// A queue may be set up for smaller messages than SQS takes, and some servers then refuse the whole batch.
async fn a_message_that_this_queue_does_not_take_fails_alone(endpoint: Option<String>) {
    const LIMIT: usize = 2048;
    let Some(endpoint) = endpoint else { return };
    let client = client(&endpoint);
    let url = create(&client, &emulators::fresh_name("small"), None).await;
    let request = client.set_queue_attributes().queue_url(&url);
    request.attributes(QueueAttributeName::MaximumMessageSize, LIMIT.to_string()).send().await.unwrap();
    let queue = SqsQueue::open(&emulators::account(&endpoint), &url, SystemClock::shared()).await.unwrap();
    let messages = [10, LIMIT + 1, 20].map(|bytes| NewMessage::new("x".repeat(bytes), Attributes::new()));
    let answers = queue.send_batch(messages.to_vec()).await.unwrap();
    let [Ok(_), Err(QueueError::TooLarge { size_bytes }), Ok(_)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(*size_bytes, LIMIT + 1);
    assert_eq!(queue.stats().await.unwrap().visible, 2);
}

/// A new queue with a dead-letter queue.
async fn harness(endpoint: Option<String>) -> Option<Harness> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let endpoint = endpoint?;
    let client = client(&endpoint);
    let name = format!("queue-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let dead = create(&client, &format!("{name}-dead"), None).await;
    let output = client.get_queue_attributes().queue_url(dead).attribute_names(QueueAttributeName::QueueArn);
    let arn = output.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap();
    let policy = format!(r#"{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "{MAX_RECEIVE_COUNT}"}}"#);
    let url = create(&client, &name, Some(policy)).await;
    let clock = SystemClock::shared();
    let queue = SqsQueue::open(&emulators::account(&endpoint), &url, Arc::clone(&clock)).await.unwrap();
    Some(Harness { queue, clock })
}

mod on_ministack {
    async fn harness() -> Option<super::Harness> {
        super::harness(crate::emulators::ministack()).await
    }

    #[tokio::test]
    async fn a_message_that_this_queue_does_not_take_fails_alone() {
        super::a_message_that_this_queue_does_not_take_fails_alone(crate::emulators::ministack()).await;
    }

    chassis::queue_conformance!(harness);
}

mod on_moto {
    async fn harness() -> Option<super::Harness> {
        super::harness(crate::emulators::moto()).await
    }

    #[tokio::test]
    async fn a_message_that_this_queue_does_not_take_fails_alone() {
        super::a_message_that_this_queue_does_not_take_fails_alone(crate::emulators::moto()).await;
    }

    chassis::queue_conformance!(harness);
}
