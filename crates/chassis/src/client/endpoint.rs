//! One place where a service is, what is known of it, and a call that is on its way there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::ServiceUrl;
use super::breaker::{Breaker, Change, Permit, Standing};
use super::latency::PeakEwma;

/// One of the places where a service is.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) url: ServiceUrl,
    /// Its own, so that none of its connections goes elsewhere.
    pub(super) http: reqwest::Client,
    breaker: Breaker,
    latency: PeakEwma,
    calls: AtomicUsize,
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
    pub(super) fn new(url: ServiceUrl, http: reqwest::Client) -> Self {
        let latency = PeakEwma::new(Instant::now());
        Self { url, http, breaker: Breaker::new(), latency, calls: AtomicUsize::new(0) }
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        self.breaker.standing(now)
    }

    /// How long one more call would take, with those that are on their way.
    pub(super) fn load(&self, now: Instant) -> f64 {
        let calls = u32::try_from(self.calls.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
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

    /// It is there, and has no room: that counts as if it had taken `penalty`, so that others get what comes.
    pub(super) fn was_refused(mut self, penalty: Duration, now: Instant) -> Change {
        self.endpoint.latency.observe(self.took(now).max(penalty), now);
        self.end(true, false, now)
    }

    /// It brought none, or one that says that the service failed. That counts as if it had taken `penalty`: whoever fails at
    /// once must not look fast. `others` are endpoints that would take its place.
    pub(super) fn failed(mut self, penalty: Duration, others: bool, now: Instant) -> Change {
        self.endpoint.latency.observe(self.took(now).max(penalty), now);
        self.end(false, others, now)
    }

    fn end(&mut self, succeeded: bool, others: bool, now: Instant) -> Change {
        self.has_ended = true;
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
