//! The store's conformance suite on the version in memory.

use std::sync::Arc;

use analytics::MemoryEvents;
use analytics::store::EventStore;
use analytics::testing::EventHarness;

struct Harness(Arc<MemoryEvents>);

impl EventHarness for Harness {
    fn store(&self) -> Arc<dyn EventStore> {
        self.0.clone()
    }
}

async fn harness() -> Option<Harness> {
    Some(Harness(MemoryEvents::new()))
}

analytics::event_conformance!(harness);
