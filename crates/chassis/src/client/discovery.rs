//! The endpoints of a service as they are now: each address that its URLs stand for.
//!
//! Names are looked up at the first call, and again when what the name server said has expired or an address turns out to
//! be gone. Calls do not wait for that but the first one: until the answer is there, what was known counts. It also does
//! while no name server answers, since a replica that was there a minute ago is a better guess than none.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::balancer::Balancer;
use super::looking::{Looking, PATIENCE};
use super::places::Places;
use super::{NoClient, ServiceUrl, Surroundings};

/// Finds the endpoints of one service.
#[derive(Debug)]
pub(super) struct Discovery {
    service: Arc<str>,
    places: Places,
    current: RwLock<Arc<Balancer>>,
    /// Milliseconds after `begun` at which something has to be looked up.
    due: AtomicU64,
    begun: Instant,
    /// Why the last look-up failed, if it did.
    failed: StdMutex<Option<String>>,
    looking: Mutex<Looking>,
}

impl Discovery {
    /// Looks nothing up yet.
    ///
    /// # Errors
    /// A service is called over TLS, and the system trusts nobody.
    pub(super) fn new(service: &Arc<str>, places: Places, surroundings: Surroundings) -> Result<Arc<Self>, NoClient> {
        let is_encrypted = places.urls().iter().any(ServiceUrl::is_encrypted);
        let looking = Looking::new(is_encrypted, surroundings).map_err(|cause| NoClient::new(service, &cause))?;
        let discovery = Self {
            service: Arc::clone(service),
            current: RwLock::new(Arc::new(Balancer::new(Vec::new(), 0))),
            due: AtomicU64::new(0),
            begun: Instant::now(),
            failed: StdMutex::default(),
            looking: Mutex::new(looking),
            places,
        };
        if !discovery.has_names() {
            // There is nothing to wait for.
            let _known = discovery.look(discovery.begun, Duration::ZERO).now_or_never();
        }
        Ok(Arc::new(discovery))
    }

    /// The endpoints, without waiting: as they were when they were last looked at.
    pub(super) fn known(&self) -> Arc<Balancer> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The URLs that the configuration names.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// The endpoints. Waits where none is known, or for a moment where the configuration names others; else has somebody
    /// else look whose turn it is. `None` when the deadline comes first.
    pub(super) async fn current(self: &Arc<Self>, now: Instant, deadline: Instant) -> Option<Arc<Balancer>> {
        let known = self.known();
        let is_of_these = self.places.version() == known.version;
        if is_of_these && self.millis(now) < self.due.load(Ordering::Acquire) {
            return Some(known);
        }
        let is_empty = known.endpoints().is_empty();
        if is_of_these && !is_empty {
            // Until the look ends, or should have, nobody else needs to begin one.
            self.due.store(self.millis(now + PATIENCE), Ordering::Release);
            self.look_until(now, Duration::ZERO, now).await;
            return Some(known);
        }
        let until = if is_empty { deadline } else { deadline.min(now + PATIENCE / 2) };
        let has_looked = self.look_until(now, Duration::ZERO, until).await;
        (has_looked || !is_empty).then(|| self.known())
    }

    /// The endpoints, after nobody listened at one of them: it may have moved. Waits until then.
    pub(super) async fn after_a_miss(self: &Arc<Self>, now: Instant, until: Instant) -> Arc<Balancer> {
        if self.has_names() {
            self.look_until(now, PATIENCE, until).await;
        }
        self.known()
    }

    /// Why no endpoint is known.
    pub(super) fn trouble(&self) -> String {
        self.failed().clone().unwrap_or_else(|| "no address of it is known".into())
    }

    /// Whether something could not be looked up.
    pub(super) fn has_failed(&self) -> bool {
        self.failed().is_some()
    }

    fn has_names(&self) -> bool {
        self.places.urls().iter().any(|url| url.address().is_none())
    }

    fn failed(&self) -> StdMutexGuard<'_, Option<String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks names up, and waits for that until then. What is begun goes on when its caller leaves: the next one shall not
    /// have to begin anew. Whether it has ended.
    #[expect(clippy::disallowed_methods, reason = "it ends by itself within seconds, and nothing is lost with it")]
    async fn look_until(self: &Arc<Self>, now: Instant, rest: Duration, until: Instant) -> bool {
        let this = Arc::clone(self);
        let looking = tokio::spawn(async move { this.look(now, rest).await });
        timeout_at(until, looking).await.is_ok()
    }

    /// Looks names up, unless that was done since `now`, or less than `rest` before.
    async fn look(&self, now: Instant, rest: Duration) {
        let mut looking = self.looking.lock().await;
        let (urls, version) = self.places.now();
        if !looking.is_needed(version, now, rest) {
            return;
        }
        let (until, failed) = looking.look_up(&urls, version).await;
        self.tell_of_failure(self.failed().as_ref(), failed.as_ref());
        *self.failed() = failed;
        self.change(&mut looking, version);
        self.due.store(self.millis(until), Ordering::Release);
    }

    /// Makes what is known the endpoints of the calls to come. Those that stay keep their connections and what was learned.
    fn change(&self, looking: &mut Looking, version: u64) {
        let known = self.known();
        let places = looking.places();
        let is_same = known.endpoints().len() == places.len()
            && known.endpoints().iter().zip(&places).all(|(endpoint, (url, address))| endpoint.is_at(url, *address));
        if is_same && known.version == version {
            return;
        }
        let mut endpoints = Vec::with_capacity(places.len());
        for (url, address) in places {
            let kept = known.endpoints().iter().find(|endpoint| endpoint.is_at(&url, address));
            let endpoint = match kept {
                Some(kept) => Ok(Arc::clone(kept)),
                None => looking.endpoint(&url, address),
            };
            match endpoint {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(cause) => warn!(peer.service = %self.service, cause, "{url} cannot be called"),
            }
        }
        if !is_same && !known.endpoints().is_empty() {
            let shown: Vec<_> = endpoints.iter().map(|endpoint| endpoint.origin.shown()).collect();
            info!(peer.service = %self.service, "{} is at {} now", self.service, shown.join(", "));
        }
        let changed = Arc::new(Balancer::new(endpoints, version));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = changed;
    }

    fn tell_of_failure(&self, before: Option<&String>, after: Option<&String>) {
        let service = &self.service;
        match (before, after) {
            (None, Some(cause)) => {
                warn!(peer.service = %service, cause, "{service} cannot be looked up; calls go where it was");
            }
            (Some(_), None) => info!(peer.service = %service, "{service} can be looked up again"),
            _ => {}
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }
}
