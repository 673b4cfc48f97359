//! What users counts.

use chassis::telemetry::metrics::Metrics;
use prometheus::IntCounter;

#[derive(Debug)]
pub(crate) struct UserMetrics {
    pub(crate) created: IntCounter,
    pub(crate) registered: IntCounter,
    pub(crate) logins: IntCounter,
    pub(crate) failed_logins: IntCounter,
    pub(crate) throttled_logins: IntCounter,
}

impl UserMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let created = metrics.counters("users_created_total", "Users that were added, by the way they came.", &["way"]);
        let logins = metrics.counters("users_logins_total", "Logins, by their outcome.", &["outcome"]);
        Self {
            created: created.with_label_values(&["create"]),
            registered: created.with_label_values(&["register"]),
            logins: logins.with_label_values(&["success"]),
            failed_logins: logins.with_label_values(&["failure"]),
            throttled_logins: logins.with_label_values(&["throttled"]),
        }
    }
}
