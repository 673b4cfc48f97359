//! The object store as the archiver sees it: up or down, judged by its last real write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chassis::ports::{ObjectError, ObjectKey, ObjectStore, Put};
use tokio::time::timeout;

/// How long one write may take before the store counts as down.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    down: AtomicBool,
}

impl Store {
    pub(super) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, down: AtomicBool::new(false) }
    }

    /// Writes once, and learns whether the store works.
    pub(super) async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<Put, ObjectError> {
        let put = self.objects.put_if_absent(key, body, "application/json");
        let result = timeout(WRITE_TIMEOUT, put).await.unwrap_or(Err(ObjectError::Timeout));
        let down = matches!(result, Err(ObjectError::Unavailable(_) | ObjectError::Timeout));
        self.down.store(down, Ordering::Relaxed);
        result
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// For readiness: never writes.
    pub(super) async fn check(&self) -> Result<(), String> {
        if self.is_down() {
            return Err("the last write found the object store unavailable".into());
        }
        self.objects.ping().await.map_err(|error| error.to_string())
    }
}
