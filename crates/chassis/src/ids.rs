//! Ids and randomness as an argument: UUIDv7 for things, W3C ids for traces. Tests seed them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use uuid::{Builder, Uuid};

use crate::clock::Clock;

/// A source of ids. Cheap to share, never blocks for longer than drawing a few random bytes.
pub struct Ids {
    clock: Arc<dyn Clock>,
    random: Mutex<StdRng>,
}

impl Ids {
    /// Ids from the operating system's randomness.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::from_rng(clock, StdRng::from_os_rng())
    }

    /// The same ids in the same order each time, for tests.
    #[must_use]
    pub fn seeded(clock: Arc<dyn Clock>, seed: u64) -> Arc<Self> {
        Self::from_rng(clock, StdRng::seed_from_u64(seed))
    }

    fn from_rng(clock: Arc<dyn Clock>, random: StdRng) -> Arc<Self> {
        Arc::new(Self { clock, random: Mutex::new(random) })
    }

    /// A new UUIDv7 (RFC 9562): sorts by the millisecond in which it was made.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let millis = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        let mut tail = [0_u8; 10];
        self.with_random(|random| random.fill_bytes(&mut tail));
        Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }

    /// A 16-byte trace id and an 8-byte span id, never all zero (W3C Trace Context, section 3.2.2).
    #[must_use]
    pub fn trace(&self) -> (u128, u64) {
        self.with_random(|random| (random.random::<u128>() | 1, random.random::<u64>() | 1))
    }

    /// A number in `0.0..1.0`, for jitter.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.with_random(Rng::random)
    }

    fn with_random<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}
