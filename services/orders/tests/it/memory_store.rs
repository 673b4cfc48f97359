//! The store's conformance suite on the version in memory.

use std::sync::Arc;

use chassis::ports::Outbox;
use orders::MemoryOrders;
use orders::store::OrderStore;
use orders::testing::OrderHarness;

struct Harness(Arc<MemoryOrders>);

impl OrderHarness for Harness {
    fn store(&self) -> Arc<dyn OrderStore> {
        self.0.clone()
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        self.0.outbox()
    }
}

async fn harness() -> Option<Harness> {
    Some(Harness(MemoryOrders::new()))
}

orders::order_conformance!(harness);
