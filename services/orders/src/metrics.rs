//! What orders counts.

use chassis::telemetry::metrics::Metrics;
use prometheus::{IntCounter, IntCounterVec};

use crate::model::OrderStatus;

#[derive(Debug)]
pub(crate) struct OrderMetrics {
    pub(crate) created: IntCounter,
    pub(crate) deleted: IntCounter,
    became: IntCounterVec,
}

impl OrderMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let changes = "Changes of the status of an order, by the status that it became.";
        let became = metrics.counters("orders_status_changes_total", changes, &["status"]);
        for status in OrderStatus::ALL.into_iter().filter(|status| *status != OrderStatus::Pending) {
            became.with_label_values(&[status.as_str()]);
        }
        Self {
            created: metrics.counter("orders_created_total", "Orders that were added."),
            deleted: metrics.counter("orders_deleted_total", "Orders that were deleted."),
            became,
        }
    }

    pub(crate) fn became(&self, status: OrderStatus) {
        self.became.with_label_values(&[status.as_str()]).inc();
    }
}
