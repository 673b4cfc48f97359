//! The edge: what every request passes on its way in and every answer on its way out, fused into one layer with one
//! future. Each layer of a tower would cost its own allocation and dispatch on every request.
//!
//! In order: ids, the rules of RFC 9112, the rules for web pages, rate limit, body limit, the handler with its time limit and its panics
//! caught; then the problem body, headers, metrics and the access log line.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use prometheus::Histogram;
use tokio::time::timeout_at;
use tower::{Layer, Service};

use super::body::{read_whole, too_large, too_slow};
use super::client::client_address;
use super::origin::OriginRules;
use super::overload::Overload;
use super::problem;
use super::rate_limit::{ClientLimits, WINDOW_SECONDS};
use super::refusal::Refusal;
use crate::error::{Error, Kind};
use crate::ids::Ids;
use crate::telemetry::correlation::{CorrelationId, Scope, TraceContext, in_scope};
use crate::telemetry::logs::{AccessRecord, Logs};
use crate::telemetry::metrics::{Metrics, UNMATCHED};

const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
const PROCESS_TIME_HEADER: HeaderName = HeaderName::from_static("x-process-time");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const REFERRER_POLICY: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");

/// Routes that load balancers and scrapers ask: never limited.
const UNLIMITED_ROUTES: &[&str] = &["/health", "/health/live", "/health/ready", "/ready", "/metrics"];

/// What the edge of one service works with.
#[derive(Debug)]
pub(super) struct EdgeState {
    pub(super) service: Arc<str>,
    pub(super) error_member: bool,
    pub(super) ids: Arc<Ids>,
    pub(super) metrics: Metrics,
    pub(super) logs: Arc<Logs>,
    pub(super) origins: OriginRules,
    pub(super) limits: Option<ClientLimits>,
    pub(super) trusted_proxies: Vec<ipnet::IpNet>,
    pub(super) overload: Overload,
    pub(super) max_body_bytes: usize,
    pub(super) request_timeout: Duration,
}

/// Puts the edge around every route of a router.
#[derive(Debug, Clone)]
pub(super) struct EdgeLayer(pub(super) Arc<EdgeState>);

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    /// Called once for each method of each route, so the handles that an edge keeps are those of its route.
    fn layer(&self, inner: S) -> Edge<S> {
        Edge { state: Arc::clone(&self.0), durations: Arc::default(), inner }
    }
}

/// The edge around one route.
#[derive(Debug, Clone)]
pub(super) struct Edge<S> {
    state: Arc<EdgeState>,
    durations: Arc<Durations>,
    inner: S,
}

/// The histograms of one route: few, so that a walk over them is faster than a hash.
type Durations = RwLock<Vec<(Method, StatusCode, Histogram)>>;

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The service that was polled ready must be the one that is called; the clone takes its place.
        let fresh = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, fresh);
        let exchange = Exchange::begin(Arc::clone(&self.state), Arc::clone(&self.durations), &request);
        let scope = exchange.scope.clone();
        Box::pin(in_scope(scope, async move {
            let response = exchange.answer(inner, request).await;
            Ok(exchange.finish(response))
        }))
    }
}

/// One request and its answer.
struct Exchange {
    state: Arc<EdgeState>,
    durations: Arc<Durations>,
    begun: Instant,
    scope: Scope,
    correlation_id: CorrelationId,
    client: Option<IpAddr>,
    route: Option<MatchedPath>,
    method: Method,
    uri: http::Uri,
    cors_origin: Option<HeaderValue>,
    /// `None` until the answer is ready, and for good when the client leaves before.
    answered: Option<StatusCode>,
}

impl Exchange {
    fn begin(state: Arc<EdgeState>, durations: Arc<Durations>, request: &Request) -> Self {
        let headers = request.headers();
        let correlation_id = [CORRELATION_HEADER, REQUEST_ID_HEADER]
            .iter()
            .find_map(|name| headers.get(name).and_then(|value| CorrelationId::parse(value.as_bytes())))
            .unwrap_or_else(|| CorrelationId::generate(&state.ids));
        let trace = headers
            .get("traceparent")
            .and_then(|value| TraceContext::continue_from(value.to_str().ok()?, &state.ids))
            .unwrap_or_else(|| TraceContext::generate(&state.ids));
        let scope = Scope {
            service: Arc::clone(&state.service),
            correlation_id: Some(correlation_id.clone()),
            trace: Some(trace),
        };
        state.metrics.active_requests().inc();
        Self {
            begun: Instant::now(),
            scope,
            correlation_id,
            client: client_address(request.extensions(), headers, &state.trusted_proxies),
            route: request.extensions().get::<MatchedPath>().cloned(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            cors_origin: state.origins.allowed_origin(headers),
            answered: None,
            state,
            durations,
        }
    }

    fn is_unlimited(&self) -> bool {
        UNLIMITED_ROUTES.contains(&self.route())
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    async fn answer<S>(&self, inner: S, request: Request) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let (parts, body) = request.into_parts();
        if let Err(error) = self.admit(&parts) {
            self.state.metrics.rejected(refusal(error.kind()));
            return error.into_response();
        }
        if let Some(preflight) = self.state.origins.answer_preflight(&parts) {
            return preflight;
        }
        self.work(inner, parts, body).await.unwrap_or_else(|error| {
            if error.kind() != Kind::Internal {
                self.state.metrics.rejected(refusal(error.kind()));
            }
            error.into_response()
        })
    }

    /// Reads the body, waits for a turn, and calls the handler, all within the time limit.
    async fn work<S>(&self, mut inner: S, parts: http::request::Parts, body: Body) -> Result<Response, Error>
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let state = &*self.state;
        let deadline = tokio::time::Instant::now() + state.request_timeout;
        let mut memory = state.overload.body();
        let body = if body.is_end_stream() || self.route.is_none() {
            body
        } else {
            let whole = read_whole(body, state.max_body_bytes, &mut memory);
            Body::from(timeout_at(deadline, whole).await.map_err(|_elapsed| too_slow())??)
        };
        let _turn = if self.is_unlimited() { None } else { Some(state.overload.admit().await?) };
        let handled = AssertUnwindSafe(inner.call(Request::from_parts(parts, body))).catch_unwind();
        match timeout_at(deadline, handled).await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(never))) => match never {},
            // The panic hook has logged the message and the place.
            Ok(Err(_panic)) => Err(Error::internal("the handler panicked")),
            Err(_elapsed) => Err(Error::new(Kind::Unavailable, "The request took too long")
                .caused_by("the request's time limit is over")),
        }
    }

    /// Refuses what must not reach the handler.
    fn admit(&self, parts: &http::request::Parts) -> Result<(), Error> {
        if let Some(refusal) = parts.extensions.get::<Refusal>() {
            return Err((*refusal).into());
        }
        self.state.origins.admit(parts)?;
        if let (Some(limits), Some(client)) = (&self.state.limits, self.client)
            && !self.is_unlimited()
        {
            limits.count(client).map_err(|wait| over_the_limit(limits, wait))?;
        }
        let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|bytes: usize| bytes > self.state.max_body_bytes) {
            return Err(too_large());
        }
        Ok(())
    }

    fn finish(mut self, response: Response) -> Response {
        let request = problem::Request {
            path: self.uri.path(),
            correlation_id: self.correlation_id.as_str(),
            error_member: self.state.error_member,
        };
        let mut response = problem::render(response, &request);
        let duration = self.begun.elapsed();
        self.state.origins.write(self.cors_origin.clone(), response.headers_mut());
        self.write_headers(response.headers_mut(), duration);
        self.answered = Some(response.status());
        response
    }

    fn write_headers(&self, headers: &mut HeaderMap, duration: Duration) {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(header::REFERRER_POLICY, REFERRER_POLICY);
        if let Ok(value) = HeaderValue::try_from(format!("{:.6}", duration.as_secs_f64())) {
            headers.insert(PROCESS_TIME_HEADER, value);
        }
        if let Ok(value) = HeaderValue::from_str(self.correlation_id.as_str()) {
            headers.insert(CORRELATION_HEADER, value);
        }
    }

    fn observe(&self, status: StatusCode, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let known = |entry: &&(Method, StatusCode, Histogram)| entry.1 == status && entry.0 == self.method;
        {
            let durations = self.durations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, _, histogram)) = durations.iter().find(known) {
                histogram.observe(seconds);
                return;
            }
        }
        let histogram = self.state.metrics.request_duration(&self.method, self.route(), status);
        histogram.observe(seconds);
        let mut durations = self.durations.write().unwrap_or_else(PoisonError::into_inner);
        // Methods are the client's to invent: what is not known has one label and no place here.
        if durations.len() < MAX_DURATIONS && !durations.iter().any(|entry| known(&entry)) {
            durations.push((self.method.clone(), status, histogram));
        }
    }
}

impl Drop for Exchange {
    /// Counted and logged at its end, whether it was answered or its client left.
    fn drop(&mut self) {
        self.state.metrics.active_requests().dec();
        let (status, duration) = (self.answered.unwrap_or(client_left()), self.begun.elapsed());
        self.observe(status, duration);
        let record = AccessRecord {
            method: &self.method,
            route: self.route(),
            path: self.uri.path(),
            status: status.as_u16(),
            duration,
            client: self.client,
        };
        self.state.logs.access(&record, &self.scope);
    }
}

/// What nginx writes into its log for a client that did not wait for the answer; never sent.
fn client_left() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// Why the edge answered by itself, for the metrics.
fn refusal(kind: Kind) -> &'static str {
    match kind {
        Kind::TooManyRequests => "rate_limit",
        Kind::PayloadTooLarge => "body_size",
        Kind::Forbidden => "origin",
        Kind::UriTooLong | Kind::HeadersTooLarge => "head_size",
        Kind::RequestTimeout | Kind::Unavailable => "timeout",
        Kind::Overloaded => "overload",
        _ => "framing",
    }
}

/// 429 with the headers of draft-ietf-httpapi-ratelimit-headers-10.
fn over_the_limit(limits: &ClientLimits, wait: Duration) -> Error {
    let seconds = wait.as_secs_f64().ceil();
    Error::new(Kind::TooManyRequests, "Rate limit exceeded")
        .retry_after(wait)
        .with_header(RATE_LIMIT_POLICY, &format!("\"default\";q={};w={WINDOW_SECONDS}", limits.per_minute))
        .with_header(RATE_LIMIT, &format!("\"default\";r=0;t={seconds}"))
}

/// Histograms that one route keeps at hand.
const MAX_DURATIONS: usize = 32;
