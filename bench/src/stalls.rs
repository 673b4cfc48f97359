//! How long a core is away by itself, because the machine shares it. No server on it can answer meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::stats::short;

const LOOKED_AT: Duration = Duration::from_secs(5);
/// Shorter ones are the kernel's own work.
const SHORTEST: Duration = Duration::from_micros(100);

/// The times in which a core was away.
pub(crate) struct Stalls(Vec<Duration>);

impl Stalls {
    /// Looks at the clock without a pause, on a core that has nothing else to do.
    pub(crate) fn of(core: usize) -> Result<Self> {
        let watch = move || -> Result<Self> {
            let mut set = CpuSet::new();
            set.set(core);
            sched_setaffinity(None, &set)?;
            let (started, mut last, mut stalls) = (Instant::now(), Instant::now(), Vec::new());
            while started.elapsed() < LOOKED_AT {
                let now = Instant::now();
                stalls.extend(Some(now - last).filter(|gap| *gap > SHORTEST));
                last = now;
            }
            Ok(Self(stalls))
        };
        std::thread::spawn(watch).join().ok().context("the thread panicked")?
    }

    /// What 99 of 100 requests at any times would wait for the core, and the longest wait, in milliseconds.
    pub(crate) fn waits(&self) -> [f64; 2] {
        let longest = self.0.iter().max().copied().unwrap_or_default();
        // Who comes during a stall waits for the rest of it.
        let waits_longer = |wait: Duration| self.0.iter().map(|stall| stall.saturating_sub(wait)).sum::<Duration>();
        let (mut low, mut high) = (Duration::ZERO, longest);
        for _ in 0..30 {
            let middle = (low + high) / 2;
            if waits_longer(middle) > LOOKED_AT / 100 { low = middle } else { high = middle }
        }
        [high, longest].map(|wait| wait.as_secs_f64() * 1000.0)
    }
}

impl std::fmt::Display for Stalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p99, longest] = self.waits();
        write!(f, "{} ms and {} ms", short(p99), short(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_what_is_left_of_a_stall() {
        assert_eq!(Stalls(Vec::new()).waits(), [0.0, 0.0]);
        // 2 % of the time: who comes in its first half waits longer than what its second half takes.
        let stalls = Stalls(vec![LOOKED_AT / 50]);
        let [p99, longest] = stalls.waits();
        assert!((p99 - 50.0).abs() < 0.01, "{p99}");
        assert!((longest - 100.0).abs() < 0.01);
    }
}
