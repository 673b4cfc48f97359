//! From a service to its routers: one for callers, and one for the internal listener where there is one.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::access::{Guards, is_passed_on};
use super::edge::{Edge, EdgeState};
use super::encryption::Encryption;
use super::operator::{Operator, require_operator};
use super::origin::OriginRules;
use super::overload::Overload;
use super::rate_limit::ClientLimits;
use super::routes::RouteTable;
use super::{calls, docs, services, standard};
use crate::auth::TokenVerifier;
use crate::client::Callees;
use crate::config::ChassisConfig;
use crate::envelope::HeaderText;
use crate::health::Health;
use crate::lifecycle::Lifecycle;
use crate::ops;
use crate::service::{Context, Service, StatusMember};
use crate::telemetry::logs::Logs;
use crate::telemetry::metrics::Metrics;

/// What the chassis routes of one service work with.
#[derive(Debug)]
pub(crate) struct ServiceState {
    pub(crate) name: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) context: Context,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) started: Instant,
    pub(crate) welcome: Map<String, Value>,
    pub(crate) status: Vec<StatusMember>,
    pub(crate) callees: Callees,
    pub(crate) configuration: Arc<Map<String, Value>>,
    pub(crate) logs: Arc<Logs>,
}

/// What the process hands to each service's routers.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) config: Arc<ChassisConfig>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) operator: Arc<Operator>,
    pub(crate) tokens: Option<Arc<TokenVerifier>>,
    pub(crate) configuration: Arc<Map<String, Value>>,
}

/// The routers of one service, edge and all.
#[derive(Debug)]
pub(crate) struct Routers {
    pub(crate) public: Edge,
    pub(crate) internal: Option<Edge>,
    pub(crate) state: Arc<ServiceState>,
}

/// Builds the routers of a service. Its workers stay with the caller.
pub(crate) fn build_routers(service: Service, shared: &Shared) -> Routers {
    let config = &shared.config;
    let edge = Arc::new(edge_state(&service, shared));
    let identity = service.identity;
    let state = Arc::new(service_state(&service, shared));
    let guards = Guards::of(config);
    let routes = service.routes.guarded(guards);
    let standard_internal = standard::internal_routes(config.http.metrics);
    let operator = operator_routes(service.operator_routes, &state, &shared.operator);

    let mut public = standard::public_routes().merge(calls::routes().guarded(guards));
    let mut internal = None;
    if config.internal_port.is_some() {
        let routes = standard::health_routes().merge(standard_internal).merge(services::internal_routes());
        let routes = routes.with_state(Arc::clone(&state)).merge(operator);
        let (router, document) = routes.split_for_parts();
        internal = Some(with_edge(router, paths(&document), Arc::clone(&edge)));
    } else {
        let listed = services::public_routes().guarded(guards);
        public = public.merge(standard_internal).merge(listed).merge(operator.with_state(()));
    }
    let (mut router, document) = public.with_state(Arc::clone(&state)).merge(routes).split_for_parts();
    let mut paths = paths(&document);
    if config.http.docs {
        router = router.merge(docs::page(docs::describe(document, &identity, &state.name, &state.version)));
        paths.extend(docs::PATHS.map(|path| (path.to_owned(), false)));
    }
    Routers { public: with_edge(router, paths, edge), internal, state }
}

/// The edge knows the routes by the API document, each with whether its requests are passed on: the framework's router
/// does not tell which it has.
fn paths(document: &OpenApi) -> Vec<(String, bool)> {
    document.paths.paths.iter().map(|(path, item)| (path.clone(), is_passed_on(item))).collect()
}

/// Handlers become services here, once, and not anew for each request.
fn with_edge(router: Router, paths: Vec<(String, bool)>, edge: Arc<EdgeState>) -> Edge {
    Edge::around(router.with_state(()), RouteTable::new(paths), edge)
}

fn operator_routes(own: OpenApiRouter, state: &Arc<ServiceState>, operator: &Arc<Operator>) -> OpenApiRouter {
    ops::routes().with_state(Arc::clone(state)).merge(own).route_layer(require_operator(Arc::clone(operator)))
}

fn service_state(service: &Service, shared: &Shared) -> ServiceState {
    ServiceState {
        name: Arc::clone(&service.name),
        version: Arc::clone(&service.version),
        context: service.context.clone(),
        metrics: service.metrics.clone(),
        health: Health::new(service.checks.clone(), shared.lifecycle.clone(), service.metrics.clone()),
        lifecycle: shared.lifecycle.clone(),
        started: Instant::now(),
        welcome: service.welcome.clone(),
        status: service.status.clone(),
        callees: service.callees.clone(),
        configuration: Arc::clone(&shared.configuration),
        logs: Arc::clone(&shared.logs),
    }
}

fn edge_state(service: &Service, shared: &Shared) -> EdgeState {
    let ChassisConfig { production, host, http, encryption, .. } = &*shared.config;
    EdgeState {
        service: Arc::clone(&service.name),
        error_member: service.error_member,
        ids: Arc::clone(&service.context.ids),
        metrics: service.metrics.clone(),
        logs: Arc::clone(&shared.logs),
        tokens: shared.tokens.clone(),
        origins: OriginRules::new(&http.cors_origins, *production, *host),
        encryption: Encryption {
            keys: service.context.keys.clone(),
            own_name: HeaderText::from_static(service.identity.name),
            given_name: HeaderText::new(&service.name),
            takes_gcm: encryption.takes_gcm,
        },
        limits: http
            .rate_limit
            .map(|limit| ClientLimits::new(limit, http.spare_loopback, Arc::clone(&service.context.clock))),
        trusted_proxies: http.trusted_proxies.clone(),
        overload: Overload::new(http.max_requests, http.max_body_bytes),
        max_body_bytes: http.max_body_bytes,
        request_timeout: http.request_timeout,
    }
}
