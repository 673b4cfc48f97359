//! The data of roll-ups: fetched and decompressed whole, one at a time.

use std::sync::Arc;

use bytes::Bytes;
use chassis::ports::{ObjectKey, ObjectStore};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::{ArchiveError, Entry};
use crate::model::compression::Compression;
use crate::model::record::stored;

/// A data object, and how it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) key: ObjectKey,
    pub(super) compression: Compression,
    /// The most that it can be, uncompressed.
    pub(super) limit: u64,
}

/// The data that was read last. Whoever reads of another waits, so that there are not many in memory.
#[derive(Debug)]
pub(super) struct Data {
    objects: Arc<dyn ObjectStore>,
    last: Mutex<Option<(Arc<Source>, Bytes)>>,
}

impl Data {
    pub(super) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, last: Mutex::new(None) }
    }

    /// The line of an entry.
    pub(super) async fn read(
        &self,
        source: &Arc<Source>,
        offset: u64,
        entry: &Entry,
    ) -> Result<Option<Bytes>, ArchiveError> {
        let mut last = self.last.lock().await;
        let data = match &*last {
            Some((known, data)) if known == source => data.clone(),
            _ => {
                // Before the next one is fetched.
                *last = None;
                let Some(data) = fetch(&*self.objects, source).await? else { return Ok(None) };
                *last = Some((Arc::clone(source), data.clone()));
                data
            }
        };
        drop(last);
        let damaged =
            || ArchiveError::damaged(&source.key, format!("the record of {} is not where it should be", entry.id));
        let line = slice(&data, offset, entry.size_bytes).ok_or_else(damaged)?;
        if stored(&line).is_none_or(|found| found.message_id != entry.id) {
            return Err(damaged());
        }
        Ok(Some(line))
    }
}

fn slice(data: &Bytes, offset: u64, length: u64) -> Option<Bytes> {
    let (from, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    let to = from.checked_add(length)?;
    (to <= data.len()).then(|| data.slice(from..to))
}

/// The whole data; `None` when there is no such object.
pub(super) async fn fetch(objects: &dyn ObjectStore, source: &Source) -> Result<Option<Bytes>, ArchiveError> {
    let body = objects.get(&source.key).await.map_err(|error| ArchiveError::of(&source.key, error))?;
    let Some(body) = body else { return Ok(None) };
    if source.compression == Compression::None {
        return Ok(Some(body));
    }
    let (compression, limit) = (source.compression, source.limit);
    let work = spawn_blocking(move || compression.decompress(&body, limit)).await;
    let data = work.map_err(|error| error.to_string()).and_then(|data| data.map_err(|error| error.to_string()));
    data.map(|data| Some(data.into()))
        .map_err(|error| ArchiveError::damaged(&source.key, format!("it cannot be decompressed: {error}")))
}
