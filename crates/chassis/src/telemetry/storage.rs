//! Failures of the disk under the embedded stores, counted where they happen and shown by every service of the process.

use prometheus::{IntCounter, IntCounterVec, Opts};

use super::metrics::Metrics;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageFailure {
    /// There is no space left.
    DiskFull,
    /// The system could not bring to the disk what it had taken.
    Sync,
    /// What is on the disk is not what was written.
    Damaged,
    /// Anything else: a read or a write that failed, a folder that is gone, no right to write.
    Other,
}

impl StorageFailure {
    const ALL: [Self; 4] = [Self::DiskFull, Self::Sync, Self::Damaged, Self::Other];

    fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::Sync => "sync",
            Self::Damaged => "damaged",
            Self::Other => "other",
        }
    }
}

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct StorageFailures(IntCounterVec);

/// The counters of one store.
#[derive(Debug, Clone)]
pub struct StoreFailures([IntCounter; 4]);

impl Default for StorageFailures {
    #[expect(clippy::expect_used, reason = "name and labels are constants, and every test of a store builds them")]
    fn default() -> Self {
        let help = "Failures of the disk under a store of this process, by what failed.";
        let options = Opts::new("storage_failures_total", help);
        Self(IntCounterVec::new(options, &["store", "kind"]).expect("the counter is valid"))
    }
}

impl StorageFailures {
    /// The counters of a store, all of them shown from now on. Its name comes from a closed set.
    #[must_use]
    pub fn of(&self, store: &'static str) -> StoreFailures {
        StoreFailures(StorageFailure::ALL.map(|kind| self.0.with_label_values(&[store, kind.as_str()])))
    }

    /// Shows them on the page of a service, once for each service.
    pub fn register(&self, metrics: &Metrics) {
        metrics.register(Box::new(self.0.clone()));
    }
}

impl StoreFailures {
    /// Counts one.
    pub fn count(&self, kind: StorageFailure) {
        for (counter, known) in self.0.iter().zip(StorageFailure::ALL) {
            if known == kind {
                counter.inc();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together_and_every_service_shows_them() {
        let failures = StorageFailures::default();
        let pages = [Metrics::new("one", "1"), Metrics::new("two", "1")];
        for page in &pages {
            failures.register(page);
        }
        failures.clone().of("queue").count(StorageFailure::Sync);
        for (page, service) in pages.iter().zip(["one", "two"]) {
            let text = String::from_utf8(page.render().unwrap()).unwrap();
            let line = |kind: &str, count| {
                format!("storage_failures_total{{kind=\"{kind}\",store=\"queue\",service=\"{service}\"}} {count}\n")
            };
            assert!(text.contains(&line("sync", 1)) && text.contains(&line("disk_full", 0)), "{text}");
        }
    }
}
