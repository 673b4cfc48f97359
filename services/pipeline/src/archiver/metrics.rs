//! What the archiver counts, and how full the queue is.

use std::sync::Arc;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::ports::{Queue, QueueStats};
use chassis::telemetry::metrics::Metrics;
use prometheus::{Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec};
use tokio::time::{sleep, timeout};
use tracing::debug;

/// How often the queue is asked how full it is, and how often when each question is paid for.
const STATS_INTERVAL: Duration = Duration::from_secs(5);
const METERED_STATS_INTERVAL: Duration = Duration::from_secs(60);
/// How long it may take to answer.
const STATS_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is a new object.
    Stored,
    /// There was an object already.
    Duplicate,
    /// It went to the dead-letter queue.
    DeadLettered,
    /// It could not be written and will be tried again.
    Failed,
    /// The object store was down: no attempt.
    Released,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::DeadLettered => "dead_lettered",
            Self::Failed => "failed",
            Self::Released => "released",
        }
    }
}

/// Why a roll-up was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It has the configured size.
    Size,
    /// It has the configured age.
    Age,
    /// It has as many messages as one may have.
    Messages,
    /// Messages of too many days were open.
    Days,
    /// The end has begun.
    Drain,
    /// The store was down.
    Outage,
}

impl Closing {
    const ALL: [Self; 6] = [Self::Size, Self::Age, Self::Messages, Self::Days, Self::Drain, Self::Outage];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Age => "age",
            Self::Messages => "messages",
            Self::Days => "days",
            Self::Drain => "drain",
            Self::Outage => "outage",
        }
    }
}

/// What is counted of roll-ups.
#[derive(Debug, Clone)]
pub(super) struct RollupMetrics {
    objects: IntCounterVec,
    messages: IntCounter,
    bytes: IntCounterVec,
    fallbacks: IntCounter,
}

impl RollupMetrics {
    fn register(metrics: &Metrics) -> Self {
        let objects =
            metrics.counters("archive_rollups_total", "Roll-ups that were written, by what closed them.", &["reason"]);
        for closing in Closing::ALL {
            objects.with_label_values(&[closing.as_str()]);
        }
        let help = "Bytes of roll-ups that were written: their data, and what is stored of it when compressed.";
        let bytes = metrics.counters("archive_rollup_bytes_total", help, &["kind"]);
        for kind in ["data", "stored"] {
            bytes.with_label_values(&[kind]);
        }
        let fallbacks = "Roll-ups that could not be written, so that their messages were stored one by one.";
        Self {
            objects,
            messages: metrics.counter("archive_rollup_messages_total", "Messages in roll-ups that were written."),
            bytes,
            fallbacks: metrics.counter("archive_rollup_fallbacks_total", fallbacks),
        }
    }

    pub(super) fn count(&self, closing: Closing, messages: usize, data: usize, stored: usize) {
        self.objects.with_label_values(&[closing.as_str()]).inc();
        self.messages.inc_by(messages as u64);
        self.bytes.with_label_values(&["data"]).inc_by(data as u64);
        self.bytes.with_label_values(&["stored"]).inc_by(stored as u64);
    }

    pub(super) fn count_fallback(&self) {
        self.fallbacks.inc();
    }
}

#[derive(Debug, Clone)]
pub(super) struct ArchiverMetrics {
    outcomes: IntCounterVec,
    pub(super) process_seconds: Histogram,
    pub(super) rollups: RollupMetrics,
    queue_messages: GaugeVec,
    queue_age: Gauge,
}

impl ArchiverMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let outcomes = metrics.counters(
            "messaging_client_consumed_messages_total",
            "Deliveries that were worked on, by what became of them.",
            &["outcome"],
        );
        for outcome in [Outcome::Stored, Outcome::Duplicate, Outcome::DeadLettered, Outcome::Failed, Outcome::Released]
        {
            outcomes.with_label_values(&[outcome.as_str()]);
        }
        let ages = metrics.gauges(
            "messaging_queue_oldest_message_age_seconds",
            "Age of the oldest message that is not deleted; 0 when there is none, NaN when the queue does not tell.",
            &[],
        );
        Self {
            outcomes,
            process_seconds: metrics.seconds("messaging_process_duration_seconds", "Duration of work on one delivery."),
            rollups: RollupMetrics::register(metrics),
            queue_messages: metrics.gauges(
                "messaging_queue_messages",
                "Messages in the queue and its dead-letter queue, by state; NaN where the queue does not tell.",
                &["state"],
            ),
            queue_age: ages.with_label_values(&[] as &[&str]),
        }
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.outcomes.with_label_values(&[outcome.as_str()]).inc();
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats; nobody counts 2^53 messages")]
    fn show(&self, stats: QueueStats) {
        let QueueStats { visible, in_flight, delayed, dead, oldest_age_seconds } = stats;
        for (state, count) in [("visible", visible), ("in_flight", in_flight), ("delayed", delayed)] {
            self.queue_messages.with_label_values(&[state]).set(count as f64);
        }
        self.queue_messages.with_label_values(&["dead"]).set(dead.map_or(f64::NAN, |count| count as f64));
        let is_empty = visible + in_flight + delayed == 0;
        let age = oldest_age_seconds.map_or(if is_empty { 0.0 } else { f64::NAN }, |seconds| seconds as f64);
        self.queue_age.set(age);
    }
}

/// Keeps the queue's gauges fresh until the drain begins.
pub(super) async fn watch_queue(queue: Arc<dyn Queue>, metrics: ArchiverMetrics, lifecycle: Lifecycle) {
    let interval = if queue.profile().is_metered { METERED_STATS_INTERVAL } else { STATS_INTERVAL };
    while !lifecycle.is_draining() {
        match timeout(STATS_TIMEOUT, queue.stats()).await {
            Ok(Ok(stats)) => metrics.show(stats),
            Ok(Err(error)) => debug!(cause = %error, "the queue does not tell how full it is"),
            Err(_) => debug!("the queue does not tell in time how full it is"),
        }
        tokio::select! {
            () = sleep(interval) => {}
            () = lifecycle.draining().cancelled() => {}
        }
    }
}
