//! The object store's conformance suite on the version in memory.

use std::sync::Arc;

use bytes::Bytes;
use chassis::ports::{MemoryObjects, ObjectError, ObjectKey, ObjectStore};
use chassis::testing::object_suite::ObjectHarness;

struct Harness(Arc<MemoryObjects>);

impl ObjectHarness for Harness {
    fn store(&self) -> Arc<dyn ObjectStore> {
        self.0.clone()
    }
}

async fn harness() -> Option<Harness> {
    Some(Harness(MemoryObjects::new()))
}

chassis::object_conformance!(harness);

#[tokio::test]
async fn an_unavailable_store_fails_every_call() {
    let store = MemoryObjects::new();
    let key: ObjectKey = "one".parse().unwrap();
    store.set_unavailable(true);
    assert!(matches!(store.get(&key).await, Err(ObjectError::Unavailable(_))));
    assert!(matches!(store.ping().await, Err(ObjectError::Unavailable(_))));
    store.set_unavailable(false);
    store.put_if_absent(&key, Bytes::new(), "text/plain").await.unwrap();
    assert_eq!(store.keys(), ["one"]);
}

#[tokio::test]
async fn a_failing_key_fails_alone_until_it_heals() {
    let store = MemoryObjects::new();
    let (bad, good): (ObjectKey, ObjectKey) = ("bad".parse().unwrap(), "good".parse().unwrap());
    store.fail_key("bad");
    let outcome = store.put_if_absent(&bad, Bytes::new(), "text/plain").await;
    assert!(matches!(outcome, Err(ObjectError::Other(_))));
    store.put_if_absent(&good, Bytes::new(), "text/plain").await.unwrap();
    store.ping().await.unwrap();
    store.heal_key("bad");
    store.put_if_absent(&bad, Bytes::new(), "text/plain").await.unwrap();
}
