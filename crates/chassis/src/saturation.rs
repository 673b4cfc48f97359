//! Whether the processor is what this process lacks. Then less is read, since every answer costs, a refusal too: TCP lets
//! clients wait for nothing. A client that was refused is read later, and one that has left the backlog is not served.
//!
//! The sign is the lag of the event loop: how much later than its time a timer fires. Threads that have time to spare
//! fire it within a millisecond or two; threads that have more to do than they can, or a control group that has used up
//! its share, are late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::lifecycle::Lifecycle;

/// How often the lag is looked at.
const INTERVAL: Duration = Duration::from_millis(50);
/// The lag from which on the processor is the limit.
const LAG: Duration = Duration::from_millis(10);
/// How long one late timer counts.
const REMEMBERED: Duration = Duration::from_secs(1);

/// What is known of the event loop. One for all services of a process.
#[derive(Debug)]
pub(crate) struct Saturation {
    begun: Instant,
    /// Milliseconds after that.
    until: AtomicU64,
}

impl Saturation {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), until: AtomicU64::new(0) })
    }

    /// Whether the event loop was late within the last second.
    pub(crate) fn is_saturated(&self) -> bool {
        self.millis() < self.until.load(Ordering::Relaxed)
    }

    /// Looks at the lag until the end.
    pub(crate) async fn watch(self: Arc<Self>, lifecycle: Lifecycle) {
        let watching = async {
            loop {
                let due = Instant::now() + INTERVAL;
                sleep_until(due).await;
                if due.elapsed() >= LAG {
                    self.late();
                }
            }
        };
        tokio::select! {
            () = watching => {}
            () = lifecycle.closing().cancelled() => {}
        }
    }

    pub(crate) fn late(&self) {
        let remembered = u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX);
        self.until.store(self.millis().saturating_add(remembered), Ordering::Relaxed);
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_late_timer_counts_for_a_second() {
        let saturation = Saturation::new();
        assert!(!saturation.is_saturated());
        saturation.late();
        advance(REMEMBERED - Duration::from_millis(1)).await;
        assert!(saturation.is_saturated());
        advance(Duration::from_millis(1)).await;
        assert!(!saturation.is_saturated());
    }

    #[tokio::test]
    async fn a_thread_that_is_busy_makes_the_event_loop_late() {
        let (saturation, lifecycle) = (Saturation::new(), Lifecycle::new());
        let busy = async {
            tokio::time::sleep(INTERVAL / 2).await;
            // What no handler may do: hold the thread of the event loop.
            #[expect(clippy::disallowed_methods, reason = "the thread is to be blocked")]
            std::thread::sleep(INTERVAL + LAG);
            // The watcher is polled once before this goes on.
            tokio::time::sleep(INTERVAL).await;
        };
        tokio::select! {
            () = Arc::clone(&saturation).watch(lifecycle) => {}
            () = busy => {}
        }
        assert!(saturation.is_saturated());
    }
}
