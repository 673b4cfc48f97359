//! What ingest counts.

use chassis::telemetry::metrics::Metrics;
use prometheus::{Histogram, IntCounter};

use crate::model::names::Source;

#[derive(Debug)]
pub(super) struct IngestMetrics {
    sent_by_message: IntCounter,
    sent_by_submit: IntCounter,
    pub(super) send_failures: IntCounter,
    pub(super) send_seconds: Histogram,
}

impl IngestMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let sent = metrics.counters(
            "messaging_client_sent_messages_total",
            "Messages that the queue confirmed, by the route that took them.",
            &["source"],
        );
        Self {
            sent_by_message: sent.with_label_values(&[Source::ApiMessage.as_str()]),
            sent_by_submit: sent.with_label_values(&[Source::Submit.as_str()]),
            send_failures: metrics
                .counter("messaging_client_send_failures_total", "Messages that the queue did not take."),
            send_seconds: metrics.seconds(
                "messaging_client_operation_duration_seconds",
                "Duration of sending a message until the queue confirmed it.",
            ),
        }
    }

    pub(super) fn sent(&self, source: Source) -> &IntCounter {
        match source {
            Source::ApiMessage => &self.sent_by_message,
            Source::Submit => &self.sent_by_submit,
        }
    }
}
