//! The object store as the archiver sees it: up or down, judged by its last real write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chassis::ports::{ObjectError, ObjectKey, ObjectStore, Put};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long one write may take before the store counts as down, and for how many bytes more a second longer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
const SLOWEST_LINE: u64 = 4 << 20;
/// The media type of records and indexes.
pub(super) const JSON: &str = "application/json";

#[derive(Debug)]
pub(super) struct Store {
    objects: Arc<dyn ObjectStore>,
    down: AtomicBool,
    stored: AtomicU64,
    refused: AtomicU64,
    kept_for_long: AtomicUsize,
    others_may_try: Notify,
}

/// Writes so far that the store has worked on, and those for which it was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Writes {
    pub(super) stored: u64,
    pub(super) refused: u64,
}

/// A message that has found the store down for long. While this lives, another one may try it too.
#[derive(Debug)]
pub(super) struct KeptForLong<'a>(&'a Store);

impl Store {
    pub(super) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            objects,
            down: AtomicBool::new(false),
            stored: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            kept_for_long: AtomicUsize::new(0),
            others_may_try: Notify::new(),
        }
    }

    /// Writes once, and learns whether the store works.
    pub(super) async fn put(&self, key: &ObjectKey, body: Bytes, content_type: &str) -> Result<Put, ObjectError> {
        let patience = WRITE_TIMEOUT + Duration::from_secs(body.len() as u64 / SLOWEST_LINE);
        let put = self.objects.put_if_absent(key, body, content_type);
        let result = timeout(patience, put).await.unwrap_or(Err(ObjectError::Timeout));
        let down = matches!(result, Err(ObjectError::Unavailable(_) | ObjectError::Timeout));
        self.down.store(down, Ordering::Relaxed);
        let count = if down { &self.refused } else { &self.stored };
        count.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// What became of all writes so far.
    pub(super) fn writes(&self) -> Writes {
        Writes { stored: self.stored.load(Ordering::Relaxed), refused: self.refused.load(Ordering::Relaxed) }
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
