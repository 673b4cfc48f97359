//! The store's conformance suite on the version in memory.

use std::sync::Arc;

use chassis::ports::Outbox;
use users::MemoryUsers;
use users::store::UserStore;
use users::testing::UserHarness;

struct Harness(Arc<MemoryUsers>);

impl UserHarness for Harness {
    fn store(&self) -> Arc<dyn UserStore> {
        self.0.clone()
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        self.0.outbox()
    }
}

async fn harness() -> Option<Harness> {
    Some(Harness(MemoryUsers::new()))
}

users::user_conformance!(harness);
