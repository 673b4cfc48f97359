//! The waiting half of a long poll, for the queues that keep their own messages.
//!
//! A receiver looks, and when it finds nothing naps until the queue changed, a hidden message falls due, or its wait
//! is over. The queue tells of changes through a watch channel, which cannot lose one between look and nap.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The longest nap. Due times are wall-clock times and naps are not: a clock that was set, or a machine that slept,
/// delays a delivery by no more than this.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// One receiver's long poll.
#[derive(Debug)]
pub struct LongPoll {
    changes: watch::Receiver<()>,
    deadline: Instant,
}

impl LongPoll {
    /// Starts the wait now. `changes` marks each change that may make a message visible sooner.
    #[must_use]
    pub fn start(changes: watch::Receiver<()>, wait: Duration) -> Self {
        Self { changes, deadline: Instant::now() + wait }
    }

    /// Call before each look, so that a change that comes while looking ends the nap after it.
    pub fn look(&mut self) {
        self.changes.mark_unchanged();
    }

    /// Naps until looking again may help; `next_due` is how long the next hidden message stays hidden. Answers
    /// whether to look again: not once the wait is over.
    pub async fn nap(&mut self, next_due: Option<Duration>) -> bool {
        let now = Instant::now();
        if now >= self.deadline {
            return false;
        }
        let nap = next_due.map_or(LONGEST_NAP, |due| due.min(LONGEST_NAP));
        let end = self.deadline.min(now + nap);
        // An error means that the queue is gone; the look after the nap says so.
        let _ended_by_time = tokio::time::timeout_at(end, self.changes.changed()).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_wait_there_is_no_nap() {
        let (_queue, changes) = watch::channel(());
        let mut poll = LongPoll::start(changes, Duration::ZERO);
        poll.look();
        assert!(!poll.nap(None).await);
    }

    #[tokio::test]
    async fn a_change_between_look_and_nap_ends_the_nap() {
        let (queue, changes) = watch::channel(());
        let mut poll = LongPoll::start(changes, Duration::from_secs(20));
        poll.look();
        queue.send_replace(());
        let started = Instant::now();
        assert!(poll.nap(None).await);
        assert!(started.elapsed() < Duration::from_millis(900));
    }
}
