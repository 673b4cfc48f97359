//! Makes a roll-up durable: its data, then its index.
//!
//! While the store is down it is written again and again, and the messages are kept. What fails for itself is given back,
//! to be stored message by message; one that cannot be written in time is written in halves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chassis::ids::Ids;
use chassis::lifecycle::Lifecycle;
use chassis::ports::{ObjectError, ObjectKey};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::Filed;
use super::batch::Closed;
use crate::archiver::metrics::{Closing, RollupMetrics};
use crate::archiver::pace::{pause, pauses};
use crate::archiver::store::{JSON, Store};
use crate::model::compression::Compression;
use crate::model::rollup::{Part, part_key};

/// What is never cut for taking long: a single message may have as much.
const SMALLEST: usize = 2 << 20;
/// Tries after which a message by itself finds out whether it is the roll-up that fails, or the store.
const PATIENCE: u32 = 10;

/// Writes roll-ups.
#[derive(Debug)]
pub(in crate::archiver) struct Writer {
    pub(in crate::archiver) store: Arc<Store>,
    pub(in crate::archiver) ids: Arc<Ids>,
    pub(in crate::archiver) compression: Compression,
    pub(in crate::archiver) metrics: RollupMetrics,
    pub(in crate::archiver) lifecycle: Lifecycle,
    /// The most that was written in time, or may be; grows again after a bad time.
    pub(in crate::archiver) fits: AtomicUsize,
}

/// Why a roll-up was not written.
enum Unwritten {
    TooSlow,
    Own(ObjectError),
    Down(ObjectError),
}

impl Writer {
    pub(super) fn is_store_down(&self) -> bool {
        self.store.is_down()
    }

    /// Writes until all of it is durable or given back, and answers whoever waits.
    pub(super) async fn write(&self, batch: Closed, why: Closing) {
        let mut pieces = vec![batch];
        while let Some(piece) = pieces.pop() {
            if self.is_too_large(&piece) {
                let (first, second) = piece.halves();
                pieces.extend([second, first]);
                continue;
            }
            match self.write_piece(&piece, why).await {
                Ok(key) => piece.stored(&key),
                Err(Unwritten::TooSlow) => {
                    let bytes = piece.data.len();
                    warn!(bytes, "a roll-up is not written in time: it is written in halves, and the next ones too");
                    self.fits.store(bytes / 2, Ordering::Relaxed);
                    pieces.push(piece);
                }
                Err(Unwritten::Own(error)) => {
                    let messages = piece.messages();
                    warn!(messages, cause = %error, "a roll-up cannot be written: its messages are stored one by one");
                    self.metrics.count_fallback();
                    piece.not_stored(&Filed::Alone);
                }
                Err(Unwritten::Down(error)) => piece.not_stored(&Filed::Down(error)),
            }
        }
    }

    fn is_too_large(&self, piece: &Closed) -> bool {
        piece.messages() > 1 && piece.data.len() > self.fits.load(Ordering::Relaxed).max(SMALLEST)
    }

    async fn write_piece(&self, piece: &Closed, why: Closing) -> Result<ObjectKey, Unwritten> {
        let name = self.ids.uuid().to_string();
        let compression = self.compression;
        let key = part_key(piece.day, &name, Part::Data(compression)).map_err(Unwritten::Own)?;
        let body = compressed(piece.data.clone(), compression).await.map_err(Unwritten::Own)?;
        let stored_bytes = body.len();
        self.put(&key, body, compression.content_type(), piece).await?;
        self.fits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |fits| fits.checked_add(fits / 8)).ok();
        self.write_index(piece, &name, &key, stored_bytes).await;
        self.metrics.count(why, piece.messages(), piece.data.len(), stored_bytes);
        let (messages, bytes) = (piece.messages(), piece.data.len());
        info!(object.key = %key, messages, bytes, stored_bytes, reason = why.as_str(), "rolled up {messages} messages");
        Ok(key)
    }

    /// The messages are durable already: without an index readers take the data itself.
    async fn write_index(&self, piece: &Closed, name: &str, data: &ObjectKey, stored_bytes: usize) {
        let index = piece.index(data, self.compression, stored_bytes);
        let written = async {
            let key = part_key(piece.day, name, Part::Index).map_err(Unwritten::Own)?;
            let text =
                serde_json::to_vec(&index).map_err(|error| Unwritten::Own(ObjectError::Other(error.to_string())))?;
            self.put(&key, text.into(), JSON, piece).await
        };
        let error = match written.await {
            Ok(()) => return,
            Err(Unwritten::Own(error) | Unwritten::Down(error)) => error,
            Err(Unwritten::TooSlow) => ObjectError::Timeout,
        };
        warn!(object.key = %data, cause = %error, "a roll-up has no index: it is read whole where it is looked for");
    }

    /// Writes an object; again and again while the store is down. One of an earlier try, whose answer was lost, is ours.
    async fn put(&self, key: &ObjectKey, body: Bytes, content_type: &str, of: &Closed) -> Result<(), Unwritten> {
        let mut pauses = pauses();
        let mut tries = 0;
        loop {
            let error = match self.store.put(key, body.clone(), content_type).await {
                Ok(_) => return Ok(()),
                Err(error @ (ObjectError::Unavailable(_) | ObjectError::Timeout)) => error,
                Err(error) => return Err(Unwritten::Own(error)),
            };
            if self.lifecycle.is_draining() {
                return Err(Unwritten::Down(error));
            }
            if matches!(error, ObjectError::Timeout) && body.len() > SMALLEST && of.messages() > 1 {
                return Err(Unwritten::TooSlow);
            }
            tries += 1;
            if tries == 1 {
                warn!(object.key = %key, cause = %error, "the object store is unavailable: a roll-up is kept until it is back");
            }
            pause(&mut pauses, &self.lifecycle).await;
            if tries >= PATIENCE && self.can_write_alone(of).await {
                return Err(Unwritten::Own(ObjectError::Other(format!("{error}, while a single message was stored"))));
            }
        }
    }

    /// Only another object can tell whether the store is down. This one is found stored when its turn comes.
    async fn can_write_alone(&self, batch: &Closed) -> bool {
        match batch.first() {
            Some((key, record)) => self.store.put(key, record, JSON).await.is_ok(),
            None => false,
        }
    }
}

async fn compressed(data: Bytes, compression: Compression) -> Result<Bytes, ObjectError> {
    if compression == Compression::None {
        return Ok(data);
    }
    let work = spawn_blocking(move || compression.compress(&data)).await;
    let stored = work.map_err(|error| error.to_string()).and_then(|data| data.map_err(|error| error.to_string()));
    stored.map(Bytes::from).map_err(|error| ObjectError::Other(format!("it cannot be compressed: {error}")))
}
