//! Calls of other services, counted by the service that makes them.

use std::collections::BTreeMap;
use std::fmt;

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

/// Whether a call that brought no good answer is tried again, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// There were enough.
    AttemptsUsedUp,
    /// So many calls were tried again that more would only add to the load.
    BudgetEmpty,
    /// There is no time left for it.
    NoTime,
    /// Its answer is good, or another attempt would end the same. Not counted.
    NotNeeded,
    /// It might be done twice.
    NotSafe,
    /// It is.
    Retried,
}

/// Each decision that is counted with its label.
const DECISIONS: [(RetryDecision, &str); 5] = [
    (RetryDecision::AttemptsUsedUp, "attempts_used_up"),
    (RetryDecision::BudgetEmpty, "budget_empty"),
    (RetryDecision::NoTime, "no_time"),
    (RetryDecision::NotSafe, "not_safe"),
    (RetryDecision::Retried, "retried"),
];

impl fmt::Display for RetryDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttemptsUsedUp => "not retried: enough attempts",
            Self::BudgetEmpty => "not retried: budget empty",
            Self::NoTime => "not retried: no time left",
            Self::NotNeeded => "not retried: not needed",
            Self::NotSafe => "not retried: it might be done twice",
            Self::Retried => "retried",
        })
    }
}

/// Why a call was not even tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallRefusal {
    /// As many as may be are under way.
    BulkheadFull,
    /// Too many failed just now, wherever they went.
    CircuitOpen,
    /// Nobody knows where the service is.
    NoAddress,
}

/// Each refusal with its label, in the order of the type.
const REFUSALS: [(CallRefusal, &str); 3] = [
    (CallRefusal::BulkheadFull, "bulkhead_full"),
    (CallRefusal::CircuitOpen, "circuit_open"),
    (CallRefusal::NoAddress, "no_address"),
];

/// The service that is called. `service` is the one that counts.
const PEER: &str = "peer_service";

/// The families, of all services that are called.
#[derive(Debug, Clone)]
pub(super) struct CallFamilies {
    calls: IntCounterVec,
    retries: IntCounterVec,
    refusals: IntCounterVec,
    circuits: IntCounterVec,
    duration: HistogramVec,
}

impl CallFamilies {
    #[expect(clippy::expect_used, reason = "names and labels are constants, and every test of a service builds them")]
    pub(super) fn new() -> Self {
        let options = HistogramOpts::new("service_call_duration_seconds", "Duration of calls of other services.")
            .buckets(DURATION_BUCKETS.to_vec());
        Self {
            calls: int_counters("service_calls_total", "Calls of other services, by outcome.", &[PEER, "outcome"]),
            retries: int_counters(
                "service_call_retries_total",
                "Calls without a good answer: whether they were tried again, or why not.",
                &[PEER, "decision"],
            ),
            circuits: int_counters(
                "service_circuits_opened_total",
                "How often the circuit of an endpoint of a service opened.",
                &[PEER],
            ),
            refusals: int_counters(
                "service_calls_refused_total",
                "Calls of other services that were not made, and why.",
                &[PEER, "reason"],
            ),
            duration: HistogramVec::new(options, &[PEER]).expect("the histogram is valid"),
        }
    }

    pub(super) fn collectors(&self) -> [Box<dyn Collector>; 5] {
        [
            Box::new(self.calls.clone()),
            Box::new(self.retries.clone()),
            Box::new(self.refusals.clone()),
            Box::new(self.circuits.clone()),
            Box::new(self.duration.clone()),
        ]
    }

    pub(super) fn of(&self, peer: &str) -> CallMetrics {
        let calls = OUTCOMES.map(|(_, label)| self.calls.with_label_values(&[peer, label]));
        let retries = DECISIONS.map(|(_, label)| self.retries.with_label_values(&[peer, label]));
        let refused = REFUSALS.map(|(_, label)| self.refusals.with_label_values(&[peer, label]));
        let opened = self.circuits.with_label_values(&[peer]);
        CallMetrics { calls, retries, opened, refused, duration: self.duration.with_label_values(&[peer]) }
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
    retries: [IntCounter; DECISIONS.len()],
    opened: IntCounter,
    refused: [IntCounter; REFUSALS.len()],
    duration: Histogram,
}

impl CallMetrics {
    /// Counts a call when what this gives is dropped, with the outcome that it has then.
    pub(crate) fn begin(&self, begun: Instant) -> CountedCall<'_> {
        CountedCall { metrics: self, begun, outcome: CallOutcome::Cancelled }
    }

    /// Counts what follows on an attempt.
    pub(crate) fn decided(&self, decision: RetryDecision) {
        let counted = DECISIONS.iter().zip(&self.retries).find(|((known, _), _)| *known == decision);
        counted.into_iter().for_each(|(_, counter)| counter.inc());
    }

    /// The circuit of an endpoint opened.
    pub(crate) fn circuit_opened(&self) {
        self.opened.inc();
    }

    /// A call was not made.
    pub(crate) fn refused(&self, refusal: CallRefusal) {
        let counted = REFUSALS.iter().zip(&self.refused).find(|((known, _), _)| *known == refusal);
        counted.into_iter().for_each(|(_, counter)| counter.inc());
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
