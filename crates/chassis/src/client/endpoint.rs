//! One place where a service is, what is known of it, and a call that is on its way there.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use super::ServiceUrl;
use super::breaker::{Breaker, Change, Permit, Standing};
use super::latency::PeakEwma;
use super::pool::{NoResponse, Pool};
use super::transport::{Origin, Trust};

/// Bytes of a body that every system's buffers take, whether or not the service reads.
const SMALL_BODY: u64 = 32 << 10;

/// One of the places where a service is.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) origin: Origin,
    /// For small requests and for large ones.
    pools: [Pool; 2],
    breaker: Breaker,
    latency: PeakEwma,
    calls: AtomicUsize,
    seen: Mutex<Option<Seen>>,
}

/// What was last seen of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// Whether it answered, and not that it failed.
    pub(super) well: bool,
}

/// A call on its way to an endpoint. Dropped before it ended, it says nothing but how long it took at least.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    pub(super) endpoint: &'a Endpoint,
    permit: Permit,
    begun: Instant,
    has_ended: bool,
}

impl Endpoint {
    pub(super) fn new(origin: Origin, trust: &Trust) -> Self {
        let (pools, latency) = (origin.pools(trust), PeakEwma::new(Instant::now()));
        let (breaker, calls, seen) = (Breaker::new(), AtomicUsize::new(0), Mutex::default());
        Self { origin, pools, breaker, latency, calls, seen }
    }

    /// Sends a request, over a connection that lies idle or a new one.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, NoResponse> {
        let [for_small, for_large] = &self.pools;
        let is_small = request.body().size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BODY);
        let pool = if is_small { for_small } else { for_large };
        pool.send(request).await
    }

    /// Closes the connections that lie idle: they are most likely as dead as the one that turned out to be.
    pub(super) fn forget_connections(&self) {
        self.pools.iter().for_each(Pool::forget);
    }

    /// Whether it is this URL's service at this address.
    pub(super) fn is_at(&self, url: &ServiceUrl, address: SocketAddr) -> bool {
        self.origin.address == address && self.origin.url == *url
    }

    /// Notes how it looked.
    pub(super) fn saw(&self, well: bool, now: Instant) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { at: now, well });
    }

    /// How it looked last, if anybody has looked.
    pub(super) fn seen(&self) -> Option<Seen> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls on their way.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// The state of its circuit, as people call it.
    pub(super) fn circuit(&self, now: Instant) -> &'static str {
        self.breaker.state(now)
    }

    /// How long an answer takes, in seconds, if anybody has seen it.
    pub(super) fn latency(&self, now: Instant) -> Option<f64> {
        self.latency.known(now)
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        self.breaker.standing(now)
    }

    /// How long one more call would take, with those that are on their way.
    pub(super) fn load(&self, now: Instant) -> f64 {
        let calls = u32::try_from(self.calls()).unwrap_or(u32::MAX);
        self.latency.now(now) * (f64::from(calls) + 1.0)
    }

    /// Leave for one call, if there is any.
    pub(super) fn enter(&self, now: Instant) -> Option<Passage<'_>> {
        let permit = self.breaker.permit(now)?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        Some(Passage { endpoint: self, permit, begun: now, has_ended: false })
    }
}

impl Passage<'_> {
    /// Whether it finds out if the endpoint is well again.
    pub(super) fn is_probe(&self) -> bool {
        self.permit.is_probe
    }

    /// How long it has taken.
    pub(super) fn took(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }

    /// It brought an answer, and not one that says that the service failed.
    pub(super) fn succeeded(mut self, now: Instant) -> Change {
        let took = self.took(now);
        let change = self.end(true, false, now);
        match change {
            Change::Closed | Change::Recovered => self.endpoint.latency.restart(took, now),
            Change::Opened | Change::None => self.endpoint.latency.observe(took, now),
        }
        change
    }

    /// It brought none, or one that says that the service failed. That counts as if it had taken `penalty`: whoever fails at
    /// once must not look fast. `others` are endpoints that would take its place.
    pub(super) fn failed(mut self, penalty: Duration, others: bool, now: Instant) -> Change {
        self.endpoint.latency.observe(self.took(now).max(penalty), now);
        self.end(false, others, now)
    }

    fn end(&mut self, succeeded: bool, others: bool, now: Instant) -> Change {
        self.has_ended = true;
        self.endpoint.saw(succeeded, now);
        self.endpoint.breaker.ended(self.permit, succeeded, others, now)
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.endpoint.calls.fetch_sub(1, Ordering::Relaxed);
        if self.has_ended {
            return;
        }
        let now = Instant::now();
        self.endpoint.breaker.give_back(self.permit, now);
        // Its caller may have left for its own reasons, or because this takes so long.
        let took = self.took(now);
        if took.as_secs_f64() > self.endpoint.latency.now(now) {
            self.endpoint.latency.observe(took, now);
        }
    }
}
