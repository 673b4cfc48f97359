//! Once an hour: counts what has expired, and deletes it where that is configured.
//!
//! Nothing waits for it and nothing fails with it: what cannot be listed or deleted is told once, and tried again at
//! the next pass. It works for a quarter of the time, so that archiving keeps the disk to itself for the rest.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::clock::Clock;
use chassis::lifecycle::Lifecycle;
use chassis::telemetry::metrics::Metrics;
use jiff::Timestamp;
use jiff::civil::Date;
use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::archive::{Archive, Batch, Volume};
use crate::config::RetentionConfig;
use crate::model::retention::Expiration;

/// The first pass waits until the start is over.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The pause between two passes.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// How much longer than the work on a batch the pause after it is.
const REST: u32 = 3;
/// The longest pause after a batch.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// What becomes of objects that have expired.
#[derive(Debug)]
pub(super) struct Janitor {
    pub(super) config: RetentionConfig,
    pub(super) archive: Archive,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: RetentionMetrics,
    /// The last pass that came to its end.
    pub(super) last: Arc<Mutex<Option<Pass>>>,
}

/// What a pass has found and done.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Pass {
    ended_at: Timestamp,
    expired: Volume,
    deleted: Volume,
    oldest_day: Option<String>,
    newest_day: Option<String>,
    /// The first thing that went wrong.
    failure: Option<String>,
}

/// What is counted of it.
#[derive(Debug, Clone)]
pub(super) struct RetentionMetrics {
    deleted_objects: IntCounter,
    deleted_bytes: IntCounter,
    expired: GaugeVec,
    passes: IntCounterVec,
    last_success: Gauge,
}

impl RetentionMetrics {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let passes = "Passes that looked for stored objects that have expired, by how they ended.";
        let passes = metrics.counters("archive_retention_passes_total", passes, &["outcome"]);
        for outcome in ["done", "failed"] {
            passes.with_label_values(&[outcome]);
        }
        let left = "What the last pass found expired and did not delete: objects, and their bytes.";
        let last = "Unix time at which the last pass ended that did all it should; 0 when there was none.";
        let last = metrics.gauges("archive_retention_last_success_timestamp_seconds", last, &[]);
        let none: &[&str] = &[];
        Self {
            deleted_objects: metrics.counter("archive_expired_objects_total", "Expired objects that were deleted."),
            deleted_bytes: metrics
                .counter("archive_expired_bytes_total", "Bytes of expired objects that were deleted."),
            expired: metrics.gauges("archive_expired_left", left, &["unit"]),
            passes,
            last_success: last.with_label_values(none),
        }
    }

    fn count(&self, deleted: Volume) {
        self.deleted_objects.inc_by(deleted.objects);
        self.deleted_bytes.inc_by(deleted.bytes);
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats; 2^53 bytes are not missed by one")]
    fn end(&self, pass: &Pass) {
        let left = |all: u64, deleted: u64| all.saturating_sub(deleted) as f64;
        self.expired.with_label_values(&["objects"]).set(left(pass.expired.objects, pass.deleted.objects));
        self.expired.with_label_values(&["bytes"]).set(left(pass.expired.bytes, pass.deleted.bytes));
        let outcome = if pass.failure.is_none() { "done" } else { "failed" };
        self.passes.with_label_values(&[outcome]).inc();
        if pass.failure.is_none() {
            self.last_success.set(pass.ended_at.as_second() as f64);
        }
    }
}

impl Janitor {
    /// Works until the drain begins, which stops a pass where it is.
    pub(super) async fn run(self, lifecycle: Lifecycle) {
        let mut pause = FIRST_PAUSE;
        loop {
            let work = async {
                sleep(pause).await;
                self.pass().await;
            };
            tokio::select! {
                () = work => pause = PAUSE,
                () = lifecycle.draining().cancelled() => return,
            }
        }
    }

    async fn pass(&self) {
        let mut expiry = self.archive.expire(Expiration::at(self.clock.now(), self.config.kept), self.config.deletes);
        let mut seen = Seen::default();
        loop {
            let begun = Instant::now();
            let Some(batch) = expiry.next().await else { break };
            seen.note(batch, &self.metrics);
            sleep((begun.elapsed() * REST).min(LONGEST_REST)).await;
        }
        let pass = seen.end(self.clock.now());
        self.metrics.end(&pass);
        self.tell(&pass);
    }

    fn tell(&self, pass: &Pass) {
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).replace(pass.clone());
        let failed_before = before.and_then(|before| before.failure);
        match &pass.failure {
            Some(cause) if failed_before.as_ref() != Some(cause) => {
                warn!(
                    cause,
                    "not all objects older than {} could be looked at or deleted, next attempt in an hour",
                    self.config.kept
                );
            }
            Some(cause) => debug!(cause, "the same as before keeps expired objects from being looked at or deleted"),
            None if failed_before.is_some() => info!("expired objects can be looked at and deleted again"),
            None => {}
        }
        let Pass { expired, deleted, .. } = *pass;
        let days = pass.days();
        let kept = self.config.kept;
        let Volume { objects, bytes } = if self.config.deletes { deleted } else { expired };
        if objects == 0 {
            debug!("no stored object is older than {kept}");
        } else if self.config.deletes {
            info!(objects, bytes, days, "deleted {objects} stored objects older than {kept}");
        } else {
            info!(
                objects,
                bytes,
                days,
                "{objects} stored objects ({bytes} bytes, {days}) are older than {kept}; nothing is deleted: {NEXT}"
            );
        }
    }
}

const NEXT: &str = "ARCHIVE_RETENTION_DELETE=true deletes them for good";

/// A pass on its way.
#[derive(Default)]
struct Seen {
    expired: Volume,
    deleted: Volume,
    /// The first and the last one.
    days: Option<(Date, Date)>,
    failure: Option<String>,
}

impl Seen {
    fn note(&mut self, batch: Result<Batch, chassis::ports::ObjectError>, metrics: &RetentionMetrics) {
        let failure = match batch {
            Ok(batch) => {
                self.expired.add(batch.expired);
                self.deleted.add(batch.deleted);
                metrics.count(batch.deleted);
                let (first, last) = self.days.unwrap_or((batch.day, batch.day));
                self.days = Some((first.min(batch.day), last.max(batch.day)));
                batch.failure
            }
            Err(error) => Some(error),
        };
        self.failure = self.failure.take().or(failure.map(|failure| failure.to_string()));
    }

    fn end(self, ended_at: Timestamp) -> Pass {
        let Self { expired, deleted, days, failure } = self;
        let day = |day: Date| day.to_string();
        let (oldest_day, newest_day) = (days.map(|days| day(days.0)), days.map(|days| day(days.1)));
        Pass { ended_at, expired, deleted, oldest_day, newest_day, failure }
    }
}

impl Pass {
    fn days(&self) -> String {
        match (&self.oldest_day, &self.newest_day) {
            (Some(oldest), Some(newest)) if oldest != newest => format!("{oldest} to {newest}"),
            (oldest, _) => oldest.clone().unwrap_or_default(),
        }
    }
}

/// What `/status` shows.
pub(super) fn shown(config: RetentionConfig, last: &Mutex<Option<Pass>>) -> Value {
    let last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let next = if config.deletes { Value::Null } else { json!(format!("nothing is deleted: {NEXT}")) };
    json!({ "kept": config.kept.to_string(), "deletes": config.deletes, "last_pass": *last, "note": next })
}
