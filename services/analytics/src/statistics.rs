//! Counting, once for all who ask the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use crate::model::EventFilter;
use crate::store::{EventCounts, EventStore, StoreError};

/// Filters that are remembered at once.
const MOST_FILTERS: usize = 64;
/// Counts at once. More would only make each of them slower, and writes too.
const AT_ONCE: usize = 2;

/// For a whole request, with its wait for others.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The last count under a filter, and when it began.
type Last = Mutex<Option<(Instant, Result<EventCounts, StoreError>)>>;

/// Counting goes through many events, and many may ask: one count runs at a time for each filter, and serves all who asked
/// before it began.
#[derive(Debug)]
pub(crate) struct Statistics {
    store: Arc<dyn EventStore>,
    counted: Cache<EventFilter, Arc<Last>>,
    turns: Semaphore,
}

impl Statistics {
    pub(crate) fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, counted: Cache::new(MOST_FILTERS), turns: Semaphore::new(AT_ONCE) }
    }

    pub(crate) async fn count(&self, filter: EventFilter) -> Result<EventCounts, StoreError> {
        let found = self.counted.get_or_insert_with::<_, StoreError>(&filter, || Ok(Arc::default()));
        let counting = self.count_with(found?, &filter);
        timeout(LONGEST_WAIT, counting).await.unwrap_or(Err(StoreError::Timeout))
    }

    async fn count_with(&self, last: Arc<Last>, filter: &EventFilter) -> Result<EventCounts, StoreError> {
        let asked = Instant::now();
        let mut last = last.lock().await;
        if let Some((began, counted)) = &*last
            && *began >= asked
        {
            return counted.clone();
        }
        let closed = |_| StoreError::Unavailable("the process ends".into());
        let _turn = self.turns.acquire().await.map_err(closed)?;
        let began = Instant::now();
        let counted = self.store.count(filter).await;
        *last = Some((began, counted.clone()));
        counted
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;
    use crate::model::NewEvent;
    use crate::store::Recorded;

    /// Takes its time to count, and counts how often it does.
    #[derive(Debug, Default)]
    struct Slow {
        counts: AtomicUsize,
        at_once: AtomicUsize,
        most_at_once: AtomicUsize,
        fails: bool,
    }

    #[async_trait]
    impl EventStore for Slow {
        async fn record(&self, _: NewEvent) -> Result<Recorded, StoreError> {
            Ok(Recorded::Done)
        }
        async fn count(&self, _: &EventFilter) -> Result<EventCounts, StoreError> {
            let at_once = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::Relaxed);
            sleep(Duration::from_millis(100)).await;
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            let number = self.counts.fetch_add(1, Ordering::Relaxed) as u64;
            match self.fails {
                true => Err(StoreError::Unavailable("switched off".into())),
                false => Ok([("custom".to_owned(), number)].into()),
            }
        }
        async fn ping(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_who_ask_at_once_two_counts_serve_all() {
        let store = Arc::new(Slow::default());
        let statistics = Statistics::new(store.clone());
        let asked = (0..100).map(|_| statistics.count(EventFilter::default()));
        let answers = join_all(asked).await;
        assert!(answers.iter().all(Result::is_ok));
        assert!(store.counts.load(Ordering::Relaxed) <= 2, "{store:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_for_all_who_ask_at_once_too() {
        let store = Arc::new(Slow { fails: true, ..Slow::default() });
        let statistics = Statistics::new(store.clone());
        let answers = join_all((0..100).map(|_| statistics.count(EventFilter::default()))).await;
        assert!(answers.iter().all(Result::is_err));
        assert!(store.counts.load(Ordering::Relaxed) <= 2, "{store:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_later_gets_a_count_that_began_later() {
        let statistics = Statistics::new(Arc::new(Slow::default()));
        let first = statistics.count(EventFilter::default()).await.unwrap();
        let second = statistics.count(EventFilter::default()).await.unwrap();
        assert_ne!(first, second);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_filters_there_are_few_counts_run_at_once() {
        let store = Arc::new(Slow::default());
        let statistics = Statistics::new(store.clone());
        let filters = (0..50).map(|number| EventFilter { user_id: Some(number.to_string()), ..EventFilter::default() });
        join_all(filters.map(|filter| statistics.count(filter))).await;
        assert_eq!(store.most_at_once.load(Ordering::Relaxed), AT_ONCE);
    }
}
