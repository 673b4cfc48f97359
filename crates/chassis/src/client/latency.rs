//! How slow an endpoint is, as far as is known.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What was seen longer ago than this counts for little.
const MEMORY: Duration = Duration::from_secs(10);
/// Of an endpoint that was never called: little, so that it is.
const UNKNOWN: Duration = Duration::from_millis(1);

/// An exponentially weighted moving average that follows a slower answer at once and a faster one in time, so that an
/// endpoint that hangs is avoided from its first slow answer on.
///
/// Source: Finagle's peak EWMA, <https://linkerd.io/2016/03/16/beyond-round-robin-load-balancing-for-latency/>
#[derive(Debug)]
pub(super) struct PeakEwma(Mutex<Average>);

#[derive(Debug, Clone, Copy)]
struct Average {
    seconds: f64,
    /// Whether anybody has seen it, and it is not what is hoped for.
    is_known: bool,
    /// When it was last changed.
    at: Instant,
}

impl PeakEwma {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Average { seconds: UNKNOWN.as_secs_f64(), is_known: false, at: now }))
    }

    /// An answer took so long.
    pub(super) fn observe(&self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let mut average = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = average.kept(now);
        average.seconds = if took > average.seconds { took } else { average.seconds * kept + took * (1.0 - kept) };
        (average.at, average.is_known) = (now, true);
    }

    /// Forgets what was, since the endpoint is another one now, or well again.
    pub(super) fn restart(&self, took: Duration, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Average { seconds: took.as_secs_f64(), is_known: true, at: now };
    }

    /// The same, if anybody has seen it.
    pub(super) fn known(&self, now: Instant) -> Option<f64> {
        let average = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        average.is_known.then(|| average.seconds * average.kept(now))
    }

    /// In seconds. Of one that is not called it falls, so that it is tried again.
    pub(super) fn now(&self, now: Instant) -> f64 {
        let average = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        average.seconds * average.kept(now)
    }
}

impl Average {
    /// How much of it is left since it was changed.
    fn kept(&self, now: Instant) -> f64 {
        (-now.saturating_duration_since(self.at).as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_answer_counts_at_once_and_fast_ones_in_time() {
        let begun = Instant::now();
        let average = PeakEwma::new(begun);
        average.observe(MILLISECOND * 500, begun);
        assert!((average.now(begun) - 0.5).abs() < 1e-9);
        average.observe(MILLISECOND, begun + MILLISECOND);
        assert!(average.now(begun + MILLISECOND) > 0.49);
        let mut now = begun;
        for _ in 0..3000 {
            now += MILLISECOND * 20;
            average.observe(MILLISECOND, now);
        }
        assert!(average.now(now) < 0.005, "{}", average.now(now));
    }

    #[test]
    fn one_that_is_not_called_is_tried_again_in_time() {
        let begun = Instant::now();
        let average = PeakEwma::new(begun);
        average.observe(Duration::from_secs(1), begun);
        assert!(average.now(begun + MEMORY) < 0.4 && average.now(begun + MEMORY * 8) < 0.001);
    }
}
