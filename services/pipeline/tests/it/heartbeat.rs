//! Work that takes longer than the visibility timeout: the message stays hidden from others.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::queue::Attributes;
use chassis::ports::{
    List, MemoryObjects, MemoryQueue, NewMessage, ObjectError, ObjectKey, ObjectStore, Put, Queue, Receive,
};
use chassis::testing::{TestApp, eventually};
use tokio::time::sleep;

use crate::kit::archiver_on;

/// How long each put takes: more than three times the visibility timeout below.
const PUT: Duration = Duration::from_millis(3500);

#[derive(Debug)]
struct SlowObjects(Arc<MemoryObjects>);

#[async_trait]
impl ObjectStore for SlowObjects {
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes, content_type: &str) -> Result<Put, ObjectError> {
        sleep(PUT).await;
        self.0.put_if_absent(key, body, content_type).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError> {
        self.0.get(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        self.0.delete(key).await
    }

    fn list(&self, folder: Option<&ObjectKey>) -> List {
        self.0.list(folder)
    }

    async fn ping(&self) -> Result<(), ObjectError> {
        self.0.ping().await
    }
}

#[tokio::test]
async fn a_message_in_work_is_delivered_to_nobody_else() {
    let clock = SystemClock::shared();
    let queue = MemoryQueue::new(Arc::clone(&clock), Ids::new(clock), 3);
    let stored = MemoryObjects::new();
    let port: Arc<dyn Queue> = Arc::clone(&queue) as _;
    let objects: Arc<dyn ObjectStore> = Arc::new(SlowObjects(Arc::clone(&stored)));
    let app = TestApp::start(|context| archiver_on(&port, &objects, context, &[("VISIBILITY_TIMEOUT", "1s")]));
    queue.send(NewMessage::new("{}", Attributes::new())).await.unwrap();
    eventually("the receive", || async { (queue.stats().await.unwrap().in_flight == 1).then_some(()) }).await;
    while stored.keys().is_empty() {
        let look = Receive { max: 1, wait: Duration::from_millis(100), visibility: Duration::from_secs(30) };
        let seen = queue.receive(look).await.unwrap();
        assert!(seen.is_empty(), "somebody else got {seen:?} while it was in work");
    }
    let [key] = &stored.keys()[..] else { panic!("{:?}", stored.keys()) };
    let body = stored.get(&key.parse().unwrap()).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&body).contains(r#""receive_count":1"#), "{body:?}");
    app.shut_down().await;
    assert_eq!(queue.stats().await.unwrap().in_flight, 0);
}
