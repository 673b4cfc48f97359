//! The object store as the archiver sees it: up or down, judged by its last real write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chassis::ports::{ObjectError, ObjectKey, ObjectStore, Put};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long one write may take before the store counts as down.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    down: AtomicBool,
    written: AtomicU64,
    kept_for_long: AtomicUsize,
    others_may_try: Notify,
}

/// A message that has found the store down for long. While this lives, another one may try it too.
#[derive(Debug)]
pub(super) struct KeptForLong<'a>(&'a Store);

impl Store {
    pub(super) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            objects,
            down: AtomicBool::new(false),
            written: AtomicU64::new(0),
            kept_for_long: AtomicUsize::new(0),
            others_may_try: Notify::new(),
        }
    }

    /// Writes once, and learns whether the store works.
    pub(super) async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<Put, ObjectError> {
        let put = self.objects.put_if_absent(key, body, "application/json");
        let result = timeout(WRITE_TIMEOUT, put).await.unwrap_or(Err(ObjectError::Timeout));
        let down = matches!(result, Err(ObjectError::Unavailable(_) | ObjectError::Timeout));
        self.down.store(down, Ordering::Relaxed);
        if result.is_ok() {
            self.written.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Writes so far that succeeded.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// It may be this message alone that fails, and only another one can tell.
    pub(super) fn keep_for_long(&self) -> KeptForLong<'_> {
        self.kept_for_long.fetch_add(1, Ordering::Relaxed);
        self.others_may_try.notify_one();
        KeptForLong(self)
    }

    /// How many messages have found the store down for long.
    pub(super) fn kept_for_long(&self) -> usize {
        self.kept_for_long.load(Ordering::Relaxed)
    }

    /// Ends when there is one more of them.
    pub(super) async fn others_may_try(&self) {
        self.others_may_try.notified().await;
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

impl Drop for KeptForLong<'_> {
    fn drop(&mut self) {
        self.0.kept_for_long.fetch_sub(1, Ordering::Relaxed);
    }
}
