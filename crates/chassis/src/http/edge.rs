//! The edge: what every request passes on its way in and every answer on its way out, fused into one layer with one
//! future. Each layer of a tower would cost its own allocation and dispatch on every request.
//!
//! In order: ids, the rules of RFC 9112, the rules for web pages, rate limit, body limit, the handler with its time limit and its panics
//! caught; then the problem body, headers, metrics and the access log line.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use futures_util::FutureExt;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use prometheus::Histogram;
use tokio::time::timeout_at;
use tower::layer::layer_fn;
use tower::{Service, service_fn};

use super::body::{read_whole, too_large, too_slow};
use super::client::client_address;
use super::origin::OriginRules;
use super::overload::Overload;
use super::problem;
use super::rate_limit::{ClientLimits, WINDOW_SECONDS};
use super::refusal::{ReadLater, Refusal};
use crate::error::{Error, Kind};
use crate::ids::Ids;
use crate::saturation::Saturation;
use crate::telemetry::correlation::{CorrelationId, Scope, TraceContext, in_scope, with_current};
use crate::telemetry::logs::{AccessRecord, Logs};
use crate::telemetry::metrics::{Metrics, UNMATCHED, is_known};

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
    pub(super) saturation: Arc<Saturation>,
    pub(super) max_body_bytes: usize,
    pub(super) request_timeout: Duration,
}

/// Puts the edge around every route of a router.
pub(super) fn around(router: Router, state: Arc<EdgeState>) -> Router {
    // Called once for each method of each route, so the handles that an edge keeps are those of its route.
    router.layer(layer_fn(move |inner: Route| {
        let edge = Arc::new(Edge { state: Arc::clone(&state), durations: Durations::default(), inner });
        // A closure, since only an unnamed future needs no box of its own.
        service_fn(move |request: Request| {
            let (exchange, scope) = Exchange::begin(Arc::clone(&edge), &request);
            in_scope(scope, async move {
                let response = match exchange.admit(&request) {
                    Ok(None) => exchange.work(request).await.unwrap_or_else(|error| exchange.refuse(error)),
                    Ok(Some(preflight)) => preflight,
                    Err(error) => exchange.refuse(error),
                };
                Ok::<_, Infallible>(exchange.finish(response))
            })
        })
    }))
}

/// The edge around one route.
#[derive(Debug)]
struct Edge {
    state: Arc<EdgeState>,
    durations: Durations,
    inner: Route,
}

/// The histograms of one route: few, so that a walk over them is faster than a hash.
type Durations = RwLock<Vec<(Method, StatusCode, Histogram)>>;

/// One request and its answer. It lives inside the request's scope.
struct Exchange {
    edge: Arc<Edge>,
    begun: Instant,
    correlation_id: CorrelationId,
    client: Option<IpAddr>,
    route: Option<MatchedPath>,
    method: Method,
    path: Option<PathAndQuery>,
    cors_origin: Option<HeaderValue>,
    /// `None` until the answer is ready, and for good when the client leaves before.
    answered: Option<(StatusCode, Duration)>,
}

impl Exchange {
    fn begin(edge: Arc<Edge>, request: &Request) -> (Self, Scope) {
        let (state, headers) = (&edge.state, request.headers());
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
        let exchange = Self {
            begun: Instant::now(),
            correlation_id,
            client: client_address(request.extensions(), headers, &state.trusted_proxies),
            route: request.extensions().get::<MatchedPath>().cloned(),
            method: request.method().clone(),
            path: request.uri().path_and_query().cloned(),
            cors_origin: state.origins.allowed_origin(headers),
            answered: None,
            edge,
        };
        (exchange, scope)
    }

    fn is_unlimited(&self) -> bool {
        UNLIMITED_ROUTES.contains(&self.route())
    }

    fn path(&self) -> &str {
        self.path.as_ref().map_or("", PathAndQuery::path)
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    /// Refuses what must not reach the handler, and answers what need not.
    fn admit(&self, request: &Request) -> Result<Option<Response>, Error> {
        let state = &self.edge.state;
        if let Some(refusal) = request.extensions().get::<Refusal>() {
            return Err((*refusal).into());
        }
        state.origins.admit(request)?;
        if let (Some(limits), Some(client)) = (&state.limits, self.client)
            && !self.is_unlimited()
        {
            limits.count(client).map_err(|wait| over_the_limit(limits, wait))?;
        }
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > state.max_body_bytes) {
            return Err(too_large());
        }
        Ok(state.origins.answer_preflight(request))
    }

    /// Reads the body, waits for a turn, and calls the handler, all within the time limit.
    async fn work(&self, mut request: Request) -> Result<Response, Error> {
        let state = &*self.edge.state;
        let deadline = tokio::time::Instant::now() + state.request_timeout;
        let mut memory = state.overload.body();
        // What is rarely awaited is boxed, since every request would have to carry the room for it.
        if !request.body().is_end_stream() && self.route.is_some() {
            let body = std::mem::take(request.body_mut());
            let whole = Box::pin(timeout_at(deadline, read_whole(body, state.max_body_bytes, &mut memory)));
            *request.body_mut() = Body::from(whole.await.map_err(|_elapsed| too_slow())??);
        }
        let _turn = if self.is_unlimited() {
            None
        } else if let Some(turn) = state.overload.try_admit() {
            Some(turn)
        } else {
            Some(Box::pin(timeout_at(deadline, state.overload.admit())).await.map_err(|_elapsed| too_late())??)
        };
        if state.max_body_bytes > FRAMEWORK_BODY_LIMIT {
            DefaultBodyLimit::disable().apply(&mut request);
        }
        // A route is always ready.
        let handled = AssertUnwindSafe(self.edge.inner.clone().call(request)).catch_unwind();
        match timeout_at(deadline, handled).await {
            Ok(Ok(Ok(response))) => Ok(response),
            Ok(Ok(Err(never))) => match never {},
            // The panic hook has logged the message and the place.
            Ok(Err(_panic)) => Err(Error::internal("the handler panicked")),
            Err(_elapsed) => Err(too_late()),
        }
    }

    /// The answer of the edge itself.
    fn refuse(&self, error: Error) -> Response {
        if let Some(reason) = refusal(error.kind()) {
            self.edge.state.metrics.rejected(reason);
        }
        let is_flood = matches!(error.kind(), Kind::Overloaded | Kind::TooManyRequests);
        let mut response = error.into_response();
        if is_flood && self.edge.state.saturation.is_saturated() {
            response.extensions_mut().insert(ReadLater);
        }
        response
    }

    fn finish(mut self, response: Response) -> Response {
        let request = problem::Request {
            path: self.path(),
            correlation_id: self.correlation_id.as_str(),
            error_member: self.edge.state.error_member,
        };
        let mut response = problem::render(response, &request);
        let duration = self.begun.elapsed();
        self.edge.state.origins.write(self.cors_origin.take(), response.headers_mut());
        self.write_headers(response.headers_mut(), duration);
        self.answered = Some((response.status(), duration));
        response
    }

    fn write_headers(&self, headers: &mut HeaderMap, duration: Duration) {
        headers.reserve(EDGE_HEADERS);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(header::REFERRER_POLICY, REFERRER_POLICY);
        if let Ok(value) = HeaderValue::try_from(seconds(duration)) {
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
            let durations = self.edge.durations.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, _, histogram)) = durations.iter().find(known) {
                histogram.observe(seconds);
                return;
            }
        }
        let histogram = self.edge.state.metrics.request_duration(&self.method, self.route(), status);
        histogram.observe(seconds);
        let mut durations = self.edge.durations.write().unwrap_or_else(PoisonError::into_inner);
        // Methods are the client's to invent: what is not known has one label and no place here.
        if is_known(&self.method) && durations.len() < MAX_DURATIONS && !durations.iter().any(|entry| known(&entry)) {
            durations.push((self.method.clone(), status, histogram));
        }
    }
}

impl Drop for Exchange {
    /// Counted and logged at its end, whether it was answered or its client left.
    fn drop(&mut self) {
        self.edge.state.metrics.active_requests().dec();
        let (status, duration) = self.answered.unwrap_or_else(|| (client_left(), self.begun.elapsed()));
        self.observe(status, duration);
        let record = AccessRecord {
            method: &self.method,
            route: self.route(),
            path: self.path(),
            status: status.as_u16(),
            duration,
            client: self.client,
        };
        with_current(|scope| self.edge.state.logs.access(&record, scope));
    }
}

fn too_late() -> Error {
    Error::new(Kind::Unavailable, "The request took too long").caused_by("the request's time limit is over")
}

/// Seconds with six decimals, without the machinery of floating point.
fn seconds(duration: Duration) -> String {
    const PER_SECOND: u32 = 1_000_000;
    let mut text = String::with_capacity(16);
    text.push_str(itoa::Buffer::new().format(duration.as_secs()));
    // A digit in front keeps the zeros, and the point takes its place.
    text.push('.');
    text.push_str(itoa::Buffer::new().format(PER_SECOND + duration.subsec_micros()).get(1..).unwrap_or_default());
    text
}

/// What nginx writes into its log for a client that did not wait for the answer; never sent.
fn client_left() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// Why the edge answered by itself, for the metrics; `None` for what is no refusal.
fn refusal(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Internal => return None,
        Kind::TooManyRequests => "rate_limit",
        Kind::PayloadTooLarge => "body_size",
        Kind::Forbidden => "origin",
        Kind::UriTooLong | Kind::HeadersTooLarge => "head_size",
        Kind::RequestTimeout | Kind::Unavailable => "timeout",
        Kind::Overloaded => "overload",
        _ => "framing",
    })
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
/// Headers that the edge adds to an answer, and those that are most often there.
const EDGE_HEADERS: usize = 8;
/// What the framework's own extractors take unless they are told otherwise; the edge bounds bodies itself.
const FRAMEWORK_BODY_LIMIT: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_six_decimals() {
        for (micros, text) in [(0, "0.000000"), (38, "0.000038"), (1_000_000, "1.000000"), (61_999_999, "61.999999")] {
            assert_eq!(seconds(Duration::from_micros(micros)), text);
        }
    }
}
