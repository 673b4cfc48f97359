//! The outbox's conformance suite on the version in memory.

use std::sync::Arc;

use chassis::ports::{MemoryOutbox, Outbox};
use chassis::testing::outbox_suite::OutboxHarness;

struct Harness(Arc<MemoryOutbox>);

impl OutboxHarness for Harness {
    fn outbox(&self) -> Arc<dyn Outbox> {
        self.0.clone()
    }
}

async fn harness() -> Option<Harness> {
    Some(Harness(Arc::new(MemoryOutbox::default())))
}

chassis::outbox_conformance!(harness);
