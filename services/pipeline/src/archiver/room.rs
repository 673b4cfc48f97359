//! How many messages may be held, and how many a receive should bring at least.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chassis::ports::queue::MAX_BATCH;

use super::rollup;
use super::worker::{Archiver, RECEIVES};

/// Messages that are held ready at most, beside as many in work.
const MAX_AHEAD: usize = RECEIVES * MAX_BATCH;
/// Messages that are held at most for roll-ups: while some are written others are filled.
const MAX_ROLLED_UP: usize = 2 * rollup::MAX_MESSAGES;
/// Bytes that may be held however small roll-ups are.
const LEAST_BYTES: usize = 16 << 20;

pub(super) struct Room {
    pub(super) places: usize,
    pub(super) wanted: usize,
}

/// Bytes of messages that are held. Dropping it lets them go.
#[derive(Debug)]
pub(super) struct Weight {
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl Weight {
    pub(super) fn of(held: &Arc<AtomicUsize>, bytes: usize) -> Self {
        held.fetch_add(bytes, Ordering::Relaxed);
        Self { held: Arc::clone(held), bytes }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Archiver {
    /// While the store is down a single message tries it, and the others stay on the queue. A call that is paid for
    /// brings as many as it can, but slow messages must not hold up all the others.
    pub(super) fn room(&self) -> Room {
        let concurrency = self.config.concurrency;
        let is_metered = self.queue.profile().is_metered;
        // From a queue at a distance some are held ready.
        let places = concurrency + if is_metered { concurrency.min(MAX_AHEAD) } else { 0 };
        if self.store.is_down() {
            return Room { places: (1 + self.store.kept_for_long()).min(places), wanted: 1 };
        }
        if let Some(rollup) = self.config.rollup {
            let has_room = self.held_bytes.load(Ordering::Relaxed) < LEAST_BYTES.max(2 * rollup.size_bytes);
            let wanted = if is_metered { self.config.max_messages } else { 1 };
            return Room { places: if has_room { MAX_ROLLED_UP } else { 0 }, wanted };
        }
        let wanted = if is_metered { self.config.max_messages.min(concurrency / 2).max(1) } else { 1 };
        Room { places, wanted }
    }
}
