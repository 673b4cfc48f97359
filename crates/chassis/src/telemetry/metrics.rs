//! Metrics of one service, with OpenTelemetry names in Prometheus spelling and labels from closed sets.
//!
//! Every family is registered at start, so that the first scrape shows it. The edge keeps a handle for each route and
//! status: a request looks nothing up.

mod calls;

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use self::calls::CallFamilies;
pub(crate) use self::calls::{CallMetrics, CallOutcome, CallRefusal, RetryDecision};

/// The content type of the exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Buckets in seconds, as OpenTelemetry advises for HTTP servers, with two finer ones below.
///
/// Source: <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>
pub const DURATION_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The label value of requests that match no route.
pub const UNMATCHED: &str = "unmatched";

/// Why the edge answers a request itself.
const REJECTIONS: [&str; 8] =
    ["body_size", "encryption", "framing", "head_size", "origin", "overload", "rate_limit", "timeout"];

/// The metrics of one service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    http_duration: HistogramVec,
    http_active: IntGauge,
    http_rejected: IntCounterVec,
    connections: IntGauge,
    connections_refused: IntCounter,
    dependency_up: IntGaugeVec,
    ready: IntGauge,
    uptime: Gauge,
    log_dropped: IntCounter,
    log_failures: IntCounter,
    service_calls: CallFamilies,
}

/// What requests were answered, for `/status`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RequestTotals {
    /// All of them.
    pub total: u64,
    /// By status code.
    pub by_status: BTreeMap<String, u64>,
    /// By `METHOD route`.
    pub by_endpoint: BTreeMap<String, u64>,
}

impl Metrics {
    /// The families that every service has. `service` and `version` stand in `target_info` and as a label on all.
    #[must_use]
    #[expect(clippy::expect_used, reason = "names and labels are constants, and every test of a service builds them")]
    pub fn new(service: &str, version: &str) -> Self {
        let labels = [("service".to_owned(), service.to_owned())].into();
        let registry = Registry::new_custom(None, Some(labels)).expect("the label is valid");
        let metrics = Self {
            http_duration: HistogramVec::new(
                HistogramOpts::new("http_server_request_duration_seconds", "Duration of HTTP server requests.")
                    .buckets(DURATION_BUCKETS.to_vec()),
                &["http_request_method", "http_route", "http_response_status_code"],
            )
            .expect("the histogram is valid"),
            http_active: IntGauge::new("http_server_active_requests", "HTTP server requests in work.")
                .expect("the gauge is valid"),
            http_rejected: int_counters(
                "http_server_rejected_requests_total",
                "Requests that the edge answered itself, by reason.",
                &["reason"],
            ),
            connections: IntGauge::new("http_server_open_connections", "Connections that are open.")
                .expect("the gauge is valid"),
            connections_refused: IntCounter::new(
                "http_server_refused_connections_total",
                "Connections that were closed at once because their client had too many.",
            )
            .expect("the counter is valid"),
            dependency_up: IntGaugeVec::new(
                Opts::new("dependency_up", "Whether a dependency answered its last check (1) or not (0)."),
                &["dependency"],
            )
            .expect("the gauge is valid"),
            ready: IntGauge::new("service_ready", "Whether the service is ready (1) or not (0).")
                .expect("the gauge is valid"),
            uptime: Gauge::new("service_uptime_seconds", "Time since the service started.")
                .expect("the gauge is valid"),
            log_dropped: IntCounter::new("log_dropped_lines_total", "Log lines that found the buffer full.")
                .expect("the counter is valid"),
            log_failures: IntCounter::new("log_write_failures_total", "Writes of the log that failed.")
                .expect("the counter is valid"),
            service_calls: CallFamilies::new(),
            registry,
        };
        for reason in REJECTIONS {
            metrics.http_rejected.with_label_values(&[reason]);
        }
        for collector in metrics.own_collectors().into_iter().chain(metrics.service_calls.collectors()) {
            metrics.register(collector);
        }
        metrics.register(Box::new(target_info(version)));
        metrics
    }

    fn own_collectors(&self) -> [Box<dyn Collector>; 10] {
        [
            Box::new(self.http_duration.clone()),
            Box::new(self.http_active.clone()),
            Box::new(self.http_rejected.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.connections_refused.clone()),
            Box::new(self.dependency_up.clone()),
            Box::new(self.ready.clone()),
            Box::new(self.uptime.clone()),
            Box::new(self.log_dropped.clone()),
            Box::new(self.log_failures.clone()),
        ]
    }

    /// Adds a family of a service's own. Two families of one name are a programming error.
    #[expect(clippy::expect_used, reason = "names are constants, and every test of a service registers them")]
    pub fn register(&self, collector: Box<dyn Collector>) {
        self.registry.register(collector).expect("each family is registered once");
    }

    /// A registered counter without labels.
    #[must_use]
    #[expect(clippy::expect_used, reason = "names are constants, and every test of a service registers them")]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        let counter = IntCounter::new(name, help).expect("the counter is valid");
        self.register(Box::new(counter.clone()));
        counter
    }

    /// A registered counter with labels from closed sets.
    #[must_use]
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        let counters = int_counters(name, help, labels);
        self.register(Box::new(counters.clone()));
        counters
    }

    /// A registered gauge of whole numbers, without labels.
    #[must_use]
    #[expect(clippy::expect_used, reason = "names are constants, and every test of a service registers them")]
    pub fn count(&self, name: &str, help: &str) -> IntGauge {
        let gauge = IntGauge::new(name, help).expect("the gauge is valid");
        self.register(Box::new(gauge.clone()));
        gauge
    }

    /// A registered gauge with labels from closed sets.
    #[must_use]
    #[expect(clippy::expect_used, reason = "names are constants, and every test of a service registers them")]
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        let gauges = GaugeVec::new(Opts::new(name, help), labels).expect("the gauge is valid");
        self.register(Box::new(gauges.clone()));
        gauges
    }

    /// A registered histogram of seconds.
    #[must_use]
    #[expect(clippy::expect_used, reason = "names are constants, and every test of a service registers them")]
    pub fn seconds(&self, name: &str, help: &str) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec());
        let histogram = Histogram::with_opts(options).expect("the histogram is valid");
        self.register(Box::new(histogram.clone()));
        histogram
    }

    /// The handle of one kind of answer; keep it, do not look it up per request.
    #[must_use]
    pub fn request_duration(&self, method: &Method, route: &str, status: StatusCode) -> Histogram {
        self.http_duration.with_label_values(&[method_label(method), route, status.as_str()])
    }

    /// Requests in work.
    #[must_use]
    pub fn active_requests(&self) -> &IntGauge {
        &self.http_active
    }

    /// Connections that are open.
    #[must_use]
    pub fn open_connections(&self) -> &IntGauge {
        &self.connections
    }

    /// Counts a connection that was closed at once.
    pub fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// Counts a request that the edge answered itself.
    pub fn rejected(&self, reason: &'static str) {
        self.http_rejected.with_label_values(&[reason]).inc();
    }

    /// Notes how a dependency answered.
    pub fn set_dependency(&self, name: &str, up: bool) {
        self.dependency_up.with_label_values(&[name]).set(i64::from(up));
    }

    /// Notes whether the service is ready.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Notes for how long the service runs.
    pub fn set_uptime(&self, seconds: f64) {
        self.uptime.set(seconds);
    }

    /// Notes what the process's logs lost so far.
    pub fn set_log_losses(&self, dropped: u64, failures: u64) {
        self.log_dropped.inc_by(dropped.saturating_sub(self.log_dropped.get()));
        self.log_failures.inc_by(failures.saturating_sub(self.log_failures.get()));
    }

    /// The handles of calls of another service.
    pub(crate) fn calls_of(&self, peer: &str) -> CallMetrics {
        self.service_calls.of(peer)
    }

    /// How many calls each other service got so far.
    #[must_use]
    pub fn service_calls(&self) -> BTreeMap<String, u64> {
        self.service_calls.totals()
    }

    /// Everything in the text format 0.0.4.
    ///
    /// # Errors
    /// A family that cannot be written; none can be registered.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut page = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }

    /// What requests were answered so far.
    #[must_use]
    pub fn request_totals(&self) -> RequestTotals {
        let mut totals = RequestTotals::default();
        for metric in self.http_duration.collect().iter().flat_map(|family| family.get_metric()) {
            let label =
                |name: &str| metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value());
            let count = metric.get_histogram().get_sample_count();
            let endpoint = format!("{} {}", label("http_request_method"), label("http_route"));
            totals.total += count;
            *totals.by_status.entry(label("http_response_status_code").to_owned()).or_default() += count;
            *totals.by_endpoint.entry(endpoint).or_default() += count;
        }
        totals
    }
}

#[expect(clippy::expect_used, reason = "names are constants, and every test of a service registers them")]
fn int_counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("the counter is valid")
}

#[expect(clippy::expect_used, reason = "the names are constants; the version is a label value, which may be any text")]
fn target_info(version: &str) -> IntGauge {
    let options = Opts::new("target_info", "The service and its version.").const_label("service_version", version);
    let info = IntGauge::with_opts(options).expect("the gauge is valid");
    info.set(1);
    info
}

/// Whether a method is one of those that have a label of their own.
pub(crate) fn is_known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
            | Method::CONNECT
            | Method::TRACE
    )
}

/// The method, from the closed set of those that are known.
fn method_label(method: &Method) -> &str {
    if is_known(method) { method.as_str() } else { "_OTHER" }
}
