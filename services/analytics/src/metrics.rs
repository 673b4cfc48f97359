//! What analytics counts.

use chassis::telemetry::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec};

use crate::model::EventType;

#[derive(Debug)]
pub(crate) struct AnalyticsMetrics {
    created: IntCounterVec,
    pub(crate) repeated: IntCounter,
}

impl AnalyticsMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let created =
            metrics.counters("analytics_events_total", "Events that were added, by their type.", &["event_type"]);
        for event_type in EventType::ALL {
            created.with_label_values(&[event_type.as_str()]);
        }
        let repeated =
            metrics.counter("analytics_repeated_events_total", "Events that came again under their Idempotency-Key.");
        Self { created, repeated }
    }

    pub(crate) fn created(&self, event_type: EventType) {
        self.created.with_label_values(&[event_type.as_str()]).inc();
    }
}
