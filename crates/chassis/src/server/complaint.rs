//! A log line that does not become a flood.

use std::time::Duration;

use tokio::time::Instant;

/// The time between two lines that say the same.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts what happens between two lines.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    times: u64,
}

impl Complaint {
    /// It happened again. When it is time for a line: how often since the last one.
    pub(crate) fn due(&mut self) -> Option<u64> {
        self.times += 1;
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_at_once_and_then_once_an_interval_with_the_count() {
        let mut complaint = Complaint::default();
        assert_eq!(complaint.due(), Some(1));
        for _ in 0..99 {
            assert_eq!(complaint.due(), None);
        }
        tokio::time::advance(INTERVAL).await;
        assert_eq!(complaint.due(), Some(100));
        assert_eq!(complaint.due(), None);
    }
}
