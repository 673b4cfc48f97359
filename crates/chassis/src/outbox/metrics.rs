//! What an outbox counts.

use jiff::Timestamp;
use prometheus::{Gauge, IntCounter, IntGauge};

use super::SinkError;
use crate::ports::outbox::OutboxDepth;
use crate::telemetry::metrics::Metrics;

#[derive(Debug)]
pub(super) struct OutboxMetrics {
    events: IntGauge,
    oldest_age: Gauge,
    pub(super) leads: IntGauge,
    delivered: IntCounter,
    refused: IntCounter,
    unavailable: IntCounter,
    pub(super) unrecorded: IntCounter,
}

impl OutboxMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let deliveries = metrics.counters(
            "outbox_deliveries_total",
            "Attempts to deliver an event, by their outcome.",
            &["outcome"],
        );
        Self {
            events: metrics.count("outbox_events", "Events that wait to be delivered, counted to 100,001 at most."),
            oldest_age: metrics
                .gauges("outbox_oldest_event_age_seconds", "Age of the oldest event that waits; 0 when none does.", &[])
                .with_label_values::<&str>(&[]),
            leads: metrics.count("outbox_relay_leads", "Whether this process delivers the events (1) or another (0)."),
            delivered: deliveries.with_label_values(&["delivered"]),
            refused: deliveries.with_label_values(&["refused"]),
            unavailable: deliveries.with_label_values(&["unavailable"]),
            unrecorded: metrics.counter(
                "outbox_unrecorded_events_total",
                "Events without a change that were not recorded, or not in time.",
            ),
        }
    }

    pub(super) fn measured(&self, depth: OutboxDepth, now: Timestamp) {
        self.events.set(i64::try_from(depth.events).unwrap_or(i64::MAX));
        self.oldest_age.set(age_seconds(depth, now).unwrap_or_default());
    }

    pub(super) fn attempted(&self, outcome: &Result<(), SinkError>) {
        match outcome {
            Ok(()) => &self.delivered,
            Err(SinkError::Refused(_)) => &self.refused,
            Err(SinkError::Unavailable(_)) => &self.unavailable,
        }
        .inc();
    }
}

/// For how long the oldest event has waited.
pub(super) fn age_seconds(depth: OutboxDepth, now: Timestamp) -> Option<f64> {
    let waited = now.duration_since(depth.oldest?);
    Some(waited.as_secs_f64().max(0.0))
}
