//! The secret source's conformance suite on the version in memory.

use std::sync::Arc;

use async_trait::async_trait;
use chassis::ports::{MemorySecrets, SecretSource};
use chassis::testing::secret_suite::SecretHarness;

struct Harness(Arc<MemorySecrets>);

#[async_trait]
impl SecretHarness for Harness {
    fn source(&self) -> Arc<dyn SecretSource> {
        self.0.clone()
    }

    async fn set(&self, label: &str, value: &[u8]) -> bool {
        self.0.set(label, value);
        true
    }
}

async fn harness() -> Option<Harness> {
    Some(Harness(Arc::new(MemorySecrets::default())))
}

chassis::secret_conformance!(harness);
