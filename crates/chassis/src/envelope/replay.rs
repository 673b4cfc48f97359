//! Which v2 bodies this process has taken: none is taken twice, whatever happens.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::NONCE_LEN;
use foldhash::fast::RandomState;

use super::Cause;
use super::v2::WINDOW_SECONDS;

/// Nonces that are known at once: some 75 MB, and half as much again for a moment when all are of one second. A body is
/// known for a minute, so there may be 70,000 a second.
const MAX_NONCES: usize = 1 << 22;
/// Nonces of one second for which there is room before any has come.
const MAX_EXPECTED: usize = 1 << 14;

type Nonce = [u8; NONCE_LEN];
/// Of nonces, so that more of them stay in the processor's caches. The hash of a replay is always known; that a good body
/// has one that is known is less likely than 2⁻³¹ in any second with 70,000 bodies. Only who has a key gets this far, so
/// it need not stand up to an attacker.
type NonceHashes = HashSet<u64, RandomState>;

/// The nonces of bodies that are still within their time.
///
/// One for each process: what another process of the service has taken, or this one before it was started anew, is not
/// known here. When it is full, no more is taken, rather than that a body might be taken twice.
///
/// One lock, held for some looks into one hash table, after the body was decrypted. Once in a second the nonces of one
/// second are given back, all at once.
pub struct ReplayCache {
    taken: Mutex<Taken>,
    max_nonces: usize,
    hasher: RandomState,
}

/// By the time of the body.
#[derive(Default)]
struct Taken {
    by_second: BTreeMap<i64, NonceHashes>,
    count: usize,
    /// The latest second of which nonces were forgotten. Should the clock be turned back, bodies up to that second are
    /// within their time again, and nobody can tell which of them were taken.
    forgotten: Option<i64>,
}

impl Default for ReplayCache {
    fn default() -> Self {
        Self::with_room_for(MAX_NONCES)
    }
}

impl ReplayCache {
    pub(super) fn with_room_for(max_nonces: usize) -> Self {
        Self { taken: Mutex::default(), max_nonces, hasher: RandomState::default() }
    }

    /// Takes a body, which must be authentic and within its time, or says why not.
    pub(super) fn take(&self, nonce: Nonce, time: i64, now: i64) -> Result<(), Cause> {
        let hash = self.hasher.hash_one(nonce);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.forget_before(now.saturating_sub(WINDOW_SECONDS));
        // Also when another thread had a later `now` than the one by which this body was judged.
        if taken.forgotten.is_some_and(|forgotten| time <= forgotten) {
            return Err(Cause::Expired);
        }
        let Taken { by_second, count, .. } = &mut *taken;
        if *count >= self.max_nonces {
            let is_known = by_second.get(&time).is_some_and(|nonces| nonces.contains(&hash));
            return Err(if is_known { Cause::Replayed } else { Cause::ReplayCacheFull });
        }
        // As many as in the second before, most likely: a table that grows is written again and again.
        let before = by_second.range(..time).next_back();
        let expected = before.map_or(0, |(_, nonces)| nonces.len().min(MAX_EXPECTED));
        let nonces = by_second.entry(time);
        let nonces = nonces.or_insert_with(|| NonceHashes::with_capacity_and_hasher(expected, RandomState::default()));
        if !nonces.insert(hash) {
            return Err(Cause::Replayed);
        }
        *count += 1;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).by_second.values().map(NonceHashes::len).sum()
    }
}

impl Taken {
    fn forget_before(&mut self, oldest: i64) {
        while let Some(first) = self.by_second.first_entry()
            && *first.key() < oldest
        {
            let (second, nonces) = first.remove_entry();
            self.count -= nonces.len();
            self.forgotten = self.forgotten.max(Some(second));
        }
    }
}

impl fmt::Debug for ReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayCache").field("max_nonces", &self.max_nonces).finish_non_exhaustive()
    }
}
