//! The routes that every service has: welcome, health, metrics, status.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use jiff::{SignedDuration, SpanRound, Timestamp, Unit};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Json;
use super::router::ServiceState;
use super::services;
use crate::error::Error;
use crate::health::{Dependency, Status};
use crate::telemetry::metrics::{CONTENT_TYPE, RequestTotals};

/// Seconds after which a client that found the service not ready may ask again.
const NOT_READY_RETRY_SECONDS: &str = "1";

/// Welcome and health: on every listener.
pub(super) fn public_routes() -> OpenApiRouter<Arc<ServiceState>> {
    OpenApiRouter::new().routes(routes!(get_welcome)).merge(health_routes())
}

/// Health alone.
pub(super) fn health_routes() -> OpenApiRouter<Arc<ServiceState>> {
    OpenApiRouter::new()
        .routes(routes!(get_health))
        .routes(routes!(get_liveness))
        .routes(routes!(get_readiness))
        .routes(routes!(get_ready))
}

/// Metrics and status: on the internal listener where there is one.
pub(super) fn internal_routes(metrics: bool) -> OpenApiRouter<Arc<ServiceState>> {
    let routes = OpenApiRouter::new().routes(routes!(get_status));
    if metrics { routes.routes(routes!(get_metrics)) } else { routes }
}

/// Says that the process is alive.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Alive {
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(value_type = String, example = "ingest")]
    service: Arc<str>,
    #[schema(value_type = String, example = "0.1.0")]
    version: Arc<str>,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// Says whether the service can work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Ready {
    #[schema(value_type = String, example = "ready")]
    status: Status,
    #[schema(value_type = String)]
    service: Arc<str>,
    #[schema(value_type = String)]
    version: Arc<str>,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    #[schema(value_type = Object)]
    dependencies: BTreeMap<&'static str, Dependency>,
}

/// Who this is and where to look next.
#[derive(Serialize, utoipa::ToSchema)]
struct Welcome<'a> {
    #[schema(value_type = String, example = "Welcome to ingest")]
    message: std::fmt::Arguments<'a>,
    service: &'a str,
    version: &'a str,
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    consumer_services: usize,
    docs: &'static str,
    health: &'static str,
    #[serde(flatten)]
    #[schema(ignore)]
    of_service: &'a Map<String, Value>,
}

/// Who this is and where to look next.
#[utoipa::path(get, path = "/", tag = "service", responses((status = 200, body = Welcome)))]
async fn get_welcome(State(state): State<Arc<ServiceState>>) -> Response {
    let welcome = Welcome {
        message: format_args!("Welcome to {}", state.name),
        service: &state.name,
        version: &state.version,
        status: "running",
        timestamp: state.context.clock.now(),
        consumer_services: state.callees.count(),
        docs: "/docs",
        health: "/health",
        of_service: &state.welcome,
    };
    Json(welcome).into_response()
}

fn alive(state: &ServiceState, status: &'static str) -> Json<Alive> {
    let timestamp = state.context.clock.now();
    Json(Alive { status, service: Arc::clone(&state.name), version: Arc::clone(&state.version), timestamp })
}

/// Whether the process is alive; looks at nothing else.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Alive)))]
async fn get_health(State(state): State<Arc<ServiceState>>) -> Json<Alive> {
    alive(&state, "healthy")
}

/// The same, for liveness probes.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Alive)))]
async fn get_liveness(State(state): State<Arc<ServiceState>>) -> Json<Alive> {
    alive(&state, "alive")
}

/// Whether the service can work, with each dependency.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses((status = 200, body = Ready, description = "Ready, or degraded"), (status = 503, body = Ready, description = "Not ready"))
)]
async fn get_readiness(State(state): State<Arc<ServiceState>>) -> Response {
    readiness(&state).await
}

/// The same at its short path.
#[utoipa::path(
    get, path = "/ready", tag = "health",
    responses((status = 200, body = Ready, description = "Ready, or degraded"), (status = 503, body = Ready, description = "Not ready"))
)]
async fn get_ready(State(state): State<Arc<ServiceState>>) -> Response {
    readiness(&state).await
}

async fn readiness(state: &ServiceState) -> Response {
    let readiness = state.health.readiness().await;
    let body = Json(Ready {
        status: readiness.status,
        service: Arc::clone(&state.name),
        version: Arc::clone(&state.version),
        timestamp: state.context.clock.now(),
        dependencies: readiness.dependencies,
    });
    if readiness.status == Status::NotReady {
        let retry = [(header::RETRY_AFTER, NOT_READY_RETRY_SECONDS)];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, body).into_response();
    }
    body.into_response()
}

/// Metrics in the Prometheus text format 0.0.4.
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = 200, content_type = "text/plain", body = String)))]
async fn get_metrics(State(state): State<Arc<ServiceState>>) -> Result<Response, Error> {
    state.metrics.set_uptime(state.started.elapsed().as_secs_f64());
    state.metrics.set_log_losses(state.logs.dropped(), state.logs.write_errors());
    let page = state.metrics.render().map_err(Error::internal)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response())
}

/// What the service does and how it is configured; secrets print as `***`.
#[utoipa::path(get, path = "/status", tag = "service", responses((status = 200, description = "Counts and configuration")))]
async fn get_status(State(state): State<Arc<ServiceState>>) -> Json<Value> {
    let RequestTotals { total, by_status, by_endpoint } = state.metrics.request_totals();
    let service_calls = state.metrics.service_calls();
    let uptime = state.started.elapsed();
    let mut status = json!({
        "service": state.name,
        "version": state.version,
        "status": if state.lifecycle.is_draining() { "draining" } else { "running" },
        "uptime_seconds": (uptime.as_secs_f64() * 1000.0).round() / 1000.0,
        "uptime_human": human(uptime.as_secs()),
        "metrics": {
            "requests_total": total,
            "requests_by_status": by_status,
            "requests_by_endpoint": by_endpoint,
            "service_calls_total": service_calls.values().sum::<u64>(),
            "service_calls_by_service": service_calls,
        },
        "consumer_services": services::named(&state.callees),
        "configuration": state.configuration,
        "timestamp": state.context.clock.now(),
    });
    for member in &state.status {
        status[member.name] = (member.value)();
    }
    Json(status)
}

/// `1d 2h 3m 4s`.
fn human(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let days = SpanRound::new().largest(Unit::Day).days_are_24_hours();
    let span = jiff::Span::try_from(SignedDuration::from_secs(seconds)).and_then(|span| span.round(days));
    span.map_or_else(|_| format!("{seconds}s"), |span| format!("{span:#}"))
}
