//! What the hashing of passwords counts.

use prometheus::{Gauge, Histogram, IntCounter};

use crate::telemetry::metrics::Metrics;

#[derive(Debug)]
pub(super) struct PoolMetrics {
    pub(super) waiting: Gauge,
    pub(super) refused: IntCounter,
    /// Its count is the number of hashes.
    pub(super) seconds: Histogram,
}

impl PoolMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let waiting = metrics.gauges("password_hash_waiting_calls", "Calls that wait for a thread.", &[]);
        Self {
            waiting: waiting.with_label_values::<&str>(&[]),
            refused: metrics.counter("password_hash_refused_calls_total", "Calls that found the pool full."),
            seconds: metrics.seconds(
                "password_hash_duration_seconds",
                "Duration of hashing a password, without the wait for a thread.",
            ),
        }
    }
}
