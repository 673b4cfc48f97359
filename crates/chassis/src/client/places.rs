//! Where a service is, while that may change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::ServiceUrls;

/// Where a service is. The configuration says so, and may say something else while the program runs: clones see it.
#[derive(Debug, Clone)]
pub struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    urls: RwLock<ServiceUrls>,
    /// Counts the changes.
    version: AtomicU64,
}

impl Places {
    /// From now on the service is there.
    pub fn change(&self, urls: ServiceUrls) {
        let mut known = self.0.urls.write().unwrap_or_else(PoisonError::into_inner);
        if *known != urls {
            *known = urls;
            self.0.version.fetch_add(1, Ordering::Release);
        }
    }

    /// The places of now; there is at least one.
    #[must_use]
    pub fn urls(&self) -> ServiceUrls {
        self.0.urls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, and how often they have changed.
    pub(super) fn now(&self) -> (ServiceUrls, u64) {
        let known = self.0.urls.read().unwrap_or_else(PoisonError::into_inner);
        (known.clone(), self.version())
    }

    pub(super) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }
}

impl From<ServiceUrls> for Places {
    fn from(urls: ServiceUrls) -> Self {
        Self(Arc::new(Inner { urls: RwLock::new(urls), version: AtomicU64::new(0) }))
    }
}
