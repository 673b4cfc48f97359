//! Calls of other services, counted by the service that makes them.

use std::collections::BTreeMap;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec};
use tokio::time::Instant;

use super::{DURATION_BUCKETS, int_counters};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallOutcome {
    /// With an answer below 500.
    Answered,
    /// Whoever made it no longer waits.
    Cancelled,
    /// With an answer of 500 and above.
    Failed,
    /// With no answer in time.
    Timeout,
    /// With an answer that was not read to its end.
    TooLarge,
    /// With no answer.
    Unavailable,
}

/// Each outcome with its label, in the order of the type.
const OUTCOMES: [(CallOutcome, &str); 6] = [
    (CallOutcome::Answered, "answered"),
    (CallOutcome::Cancelled, "cancelled"),
    (CallOutcome::Failed, "failed"),
    (CallOutcome::Timeout, "timeout"),
    (CallOutcome::TooLarge, "too_large"),
    (CallOutcome::Unavailable, "unavailable"),
];

/// The service that is called. `service` is the one that counts.
const PEER: &str = "peer_service";

/// The families, of all services that are called.
#[derive(Debug, Clone)]
pub(super) struct CallFamilies {
    calls: IntCounterVec,
    duration: HistogramVec,
}

impl CallFamilies {
    #[expect(clippy::expect_used, reason = "names and labels are constants, and every test of a service builds them")]
    pub(super) fn new() -> Self {
        let options = HistogramOpts::new("service_call_duration_seconds", "Duration of calls of other services.")
            .buckets(DURATION_BUCKETS.to_vec());
        Self {
            calls: int_counters("service_calls_total", "Calls of other services, by outcome.", &[PEER, "outcome"]),
            duration: HistogramVec::new(options, &[PEER]).expect("the histogram is valid"),
        }
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 2] {
        [Box::new(self.calls.clone()), Box::new(self.duration.clone())]
    }

    pub(super) fn of(&self, peer: &str) -> CallMetrics {
        let calls = OUTCOMES.map(|(_, label)| self.calls.with_label_values(&[peer, label]));
        CallMetrics { calls, duration: self.duration.with_label_values(&[peer]) }
    }

    /// How many calls each service got.
    pub(super) fn totals(&self) -> BTreeMap<String, u64> {
        let mut totals = BTreeMap::new();
        for metric in self.duration.collect().iter().flat_map(|family| family.get_metric()) {
            let peer = metric.get_label().iter().find(|pair| pair.name() == PEER).map_or("", |pair| pair.value());
            totals.insert(peer.to_owned(), metric.get_histogram().get_sample_count());
        }
        totals
    }
}

/// The handles of one service that is called: a call looks nothing up.
#[derive(Debug)]
pub(crate) struct CallMetrics {
    calls: [IntCounter; OUTCOMES.len()],
    duration: Histogram,
}

impl CallMetrics {
    /// Counts a call when what this gives is dropped, with the outcome that it has then.
    pub(crate) fn begin(&self, begun: Instant) -> CountedCall<'_> {
        CountedCall { metrics: self, begun, outcome: CallOutcome::Cancelled }
    }
}

/// A call that is being made.
#[derive(Debug)]
pub(crate) struct CountedCall<'a> {
    metrics: &'a CallMetrics,
    begun: Instant,
    pub(crate) outcome: CallOutcome,
}

impl Drop for CountedCall<'_> {
    fn drop(&mut self) {
        for ((outcome, _), counter) in OUTCOMES.iter().zip(&self.metrics.calls) {
            if *outcome == self.outcome {
                counter.inc();
            }
        }
        self.metrics.duration.observe(self.begun.elapsed().as_secs_f64());
    }
}
