//! hyper with the telemetry of the chassis around it and nothing else of it: ids, scope, metrics, access line.
//!
//! The edge cannot be had without its telemetry, and a switch for the benchmark's sake would be one more thing to get
//! wrong. So the same calls are made here, and this server less the bare one is what they cost.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::telemetry::correlation::{CorrelationId, Scope, TraceContext, in_scope};
use chassis::telemetry::logs::{AccessRecord, LogSettings, Logs};
use chassis::telemetry::metrics::Metrics;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::Full;
use prometheus::Histogram;

use super::{Answer, bare};

/// Who asks.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Telemetry {
    service: Arc<str>,
    ids: Arc<Ids>,
    logs: Arc<Logs>,
    metrics: Metrics,
    duration: Histogram,
    answer: Answer,
}

/// Gives one answer to everything, under new ids, and counts and logs it.
pub(super) async fn serve(port: u16, answer: Answer) -> Result<()> {
    let clock = SystemClock::shared();
    let metrics = Metrics::new("bench", "0");
    let duration = metrics.request_duration(&Method::GET, "/", StatusCode::OK);
    let logs = Logs::install(LogSettings::new("bench"), Arc::clone(&clock))?;
    let service = "bench".into();
    let telemetry = Arc::new(Telemetry { service, ids: Ids::new(clock), logs, metrics, duration, answer });
    bare::serve_with(port, move |request| {
        let telemetry = Arc::clone(&telemetry);
        async move {
            let scope = telemetry.scope(&request);
            in_scope(scope.clone(), async { telemetry.answer(&request, &scope) }).await
        }
    })
    .await
}

impl Telemetry {
    fn scope<B>(&self, request: &http::Request<B>) -> Scope {
        let given = request.headers().get("x-correlation-id");
        let correlation_id = given
            .and_then(|value| CorrelationId::parse(value.as_bytes()))
            .unwrap_or_else(|| CorrelationId::generate(&self.ids));
        let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        let trace = parent
            .and_then(|parent| TraceContext::continue_from(parent, &self.ids))
            .unwrap_or_else(|| TraceContext::generate(&self.ids));
        Scope {
            service: Arc::clone(&self.service),
            correlation_id: Some(correlation_id),
            trace: Some(trace),
            client: Some(CLIENT),
            deadline: None,
        }
    }

    fn answer<B>(&self, request: &http::Request<B>, scope: &Scope) -> http::Response<Full<Bytes>> {
        let begun = Instant::now();
        self.metrics.active_requests().inc();
        let mut response = self.answer.response();
        let id = scope.correlation_id.as_ref().and_then(|id| HeaderValue::from_str(id.as_str()).ok());
        if let Some(id) = id {
            response.headers_mut().insert("x-correlation-id", id);
        }
        let duration = begun.elapsed();
        self.duration.observe(duration.as_secs_f64());
        self.metrics.active_requests().dec();
        let record = AccessRecord {
            method: request.method(),
            route: "/ops/v1/log-level",
            path: request.uri().path(),
            status: response.status().as_u16(),
            duration,
            client: scope.client,
            is_probe: false,
        };
        self.logs.access(&record, scope);
        response
    }
}
