//! `GET /services`: the services that this one may call, where they are, and how each was when it was last heard of.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Routes;
use super::extract::Json;
use super::router::ServiceState;
use crate::auth::Access;
use crate::client::{Callees, ObservedEndpoint, ObservedStatus, ServiceClient};

/// For a listener that everybody reaches.
pub(super) fn public_routes() -> Routes<Arc<ServiceState>> {
    Routes::new().route(Access::Scope("ops:read"), routes!(list_services))
}

/// For the listener of operators.
pub(super) fn internal_routes() -> OpenApiRouter<Arc<ServiceState>> {
    OpenApiRouter::new().routes(routes!(list_services))
}

/// The services that may be called.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Services {
    /// In the order of their names.
    services: Vec<KnownService>,
    count: usize,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// A service that may be called.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct KnownService {
    #[schema(value_type = String, example = "user-service")]
    name: Arc<str>,
    /// The host of the first place that is configured.
    #[schema(example = "users.internal")]
    endpoint: String,
    /// The port there.
    #[schema(example = 8002)]
    port: u16,
    /// Seconds that a call by name may take.
    #[schema(example = 30.0)]
    timeout: f64,
    /// How it was when it was last heard of: `available`, `degraded` (some of its endpoints are not), `unavailable`, or
    /// `unknown` before anything was heard.
    #[schema(value_type = String, example = "available", pattern = "^(available|degraded|unavailable|unknown)$")]
    status: ObservedStatus,
    /// The same of each endpoint: `address`, `status`, `circuit`, `calls` under way, `latency_ms`.
    #[schema(value_type = Vec<Object>)]
    endpoints: Vec<ObservedEndpoint>,
}

impl KnownService {
    fn of(client: &ServiceClient) -> Self {
        let (endpoint, port) = first_place(client);
        let observed = client.observed();
        Self {
            name: Arc::clone(client.service()),
            endpoint,
            port,
            timeout: client.limits().timeout.as_secs_f64(),
            status: observed.status,
            endpoints: observed.endpoints,
        }
    }
}

fn first_place(client: &ServiceClient) -> (String, u16) {
    let places = client.places().urls();
    places.first().map(|place| (place.host().to_owned(), place.port())).unwrap_or_default()
}

/// The services that this one may call, each as it was when it was last heard of.
#[utoipa::path(get, path = "/services", tag = "service", responses((status = 200, body = Services)))]
async fn list_services(State(state): State<Arc<ServiceState>>) -> Json<Services> {
    let services: Vec<_> = state.callees.all().iter().map(KnownService::of).collect();
    Json(Services { count: services.len(), services, timestamp: state.context.clock.now() })
}

/// What `GET /status` says of them: where they are, and not how.
pub(super) fn named(callees: &Callees) -> Value {
    let all = callees.all();
    let named = all.iter().map(|client| {
        let (endpoint, port) = first_place(client);
        let timeout = client.limits().timeout.as_secs_f64();
        json!({ "name": client.service(), "endpoint": endpoint, "port": port, "timeout": timeout })
    });
    named.collect()
}
