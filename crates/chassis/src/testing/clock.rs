//! A clock that stands still until a test turns it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;

/// Starts at 2025-06-09T10:30:45Z.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Timestamp>,
}

const START_SECOND: i64 = 1_749_465_045;

impl ManualClock {
    /// A clock at the start time.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { now: Mutex::new(Timestamp::constant(START_SECOND, 0)) })
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn monotonic(&self) -> Duration {
        let since_start = self.now().duration_since(Timestamp::constant(START_SECOND, 0));
        Duration::try_from(since_start).unwrap_or(Duration::ZERO)
    }
}
