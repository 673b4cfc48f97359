//! Failures by key, each counted for a fixed time from its first one. Of too many keys, the least used are forgotten.

use std::time::Duration;

use quick_cache::unsync::Cache;

/// Keys that are counted at once, some 5 MB.
pub(super) const MAX_KEYS: usize = 65_536;

pub(super) struct Counter {
    limit: u32,
    window: Duration,
    counts: Cache<u64, Count>,
}

#[derive(Clone, Copy)]
struct Count {
    since: Duration,
    failures: u32,
}

impl Counter {
    /// `limit` failures within a `window` that begins with the first of them.
    pub(super) fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window, counts: Cache::new(MAX_KEYS) }
    }

    /// How long there is no room for one more; `None` while there is.
    pub(super) fn wait(&self, key: u64, now: Duration) -> Option<Duration> {
        let count = self.current(key, now)?;
        (count.failures >= self.limit).then(|| self.window - now.saturating_sub(count.since))
    }

    /// Counts one more, even beyond the limit.
    pub(super) fn add(&mut self, key: u64, now: Duration) {
        let Count { since, failures } = self.current(key, now).unwrap_or(Count { since: now, failures: 0 });
        self.counts.insert(key, Count { since, failures: failures.saturating_add(1) });
    }

    /// Takes back one that was counted at `counted_at`, unless it is forgotten already.
    pub(super) fn take_back(&mut self, key: u64, counted_at: Duration) {
        if let Some(mut count) = self.counts.get_mut(&key)
            && count.since <= counted_at
        {
            count.failures = count.failures.saturating_sub(1);
        }
    }

    pub(super) fn clear(&mut self, key: u64) {
        self.counts.remove(&key);
    }

    fn current(&self, key: u64, now: Duration) -> Option<Count> {
        self.counts.get(&key).copied().filter(|count| now.saturating_sub(count.since) < self.window)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }
}
