//! The edge: what every request passes on its way in and every answer on its way out, fused into one service with one
//! future around the router. Each layer of a tower would cost its own allocation and dispatch on every request.
//!
//! In order: ids, what the server refuses, the rules for web pages, the token, rate limit, body limit, decryption, a turn,
//! the handler with its time limit and its panics caught; then the problem body, encryption, headers, metrics and the
//! access log line.

use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};
use tower::Service;

use super::application::{Application, Arrival};
use super::bearer::{Shown, is_of_its_own, shown, shows_token};
use super::body::{Purpose, read_whole, too_large, too_slow};
use super::client::{ThroughProxy, client_address, is_trusted};
use super::encryption::{Asked, Decrypted, Encryption, Reply, no_key};
use super::identify::ids_of;
use super::origin::OriginRules;
use super::overload::{Overload, overloaded};
use super::own_headers;
use super::problem;
use super::rate_limit::{ClientLimits, over_the_limit};
use super::routes::{Route, RouteTable};
use crate::auth::{Claims, SERVICE_SCOPE, TokenVerifier};
use crate::client::{DEADLINE_HEADER, PROBE_AGENT};
use crate::envelope::Cause;
use crate::error::{Error, Kind};
use crate::ids::Ids;
use crate::telemetry::correlation::{CorrelationId, Scope, in_scope, with_current};
use crate::telemetry::logs::{AccessRecord, Logs};
use crate::telemetry::metrics::Metrics;

/// What the edge of one service works with.
#[derive(Debug)]
pub(super) struct EdgeState {
    pub(super) service: Arc<str>,
    pub(super) error_member: bool,
    pub(super) ids: Arc<Ids>,
    pub(super) metrics: Metrics,
    pub(super) logs: Arc<Logs>,
    /// `None` where no route asks for one.
    pub(super) tokens: Option<Arc<TokenVerifier>>,
    pub(super) origins: OriginRules,
    pub(super) encryption: Encryption,
    pub(super) limits: Option<ClientLimits>,
    pub(super) trusted_proxies: Vec<ipnet::IpNet>,
    pub(super) overload: Overload,
    pub(super) max_body_bytes: usize,
    pub(super) request_timeout: Duration,
}

/// The edge around the routes of one listener. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Edge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Arc<EdgeState>,
    routes: RouteTable,
    router: Router,
}

impl Edge {
    /// Puts the edge around a router. What its `routes` do not name is counted as unmatched.
    pub(super) fn around(router: Router, routes: RouteTable, state: Arc<EdgeState>) -> Self {
        Self(Arc::new(Inner { state, routes, router }))
    }
}

impl Application for Edge {
    fn answer(self, mut request: Request, arrival: Arrival) -> impl Future<Output = Response> + Send {
        let (mut exchange, scope) = Exchange::begin(self.0, &request, &arrival);
        in_scope(scope, async move {
            let response = match exchange.admit(&mut request, arrival).await {
                Ok(None) => exchange.work(request).await.unwrap_or_else(|error| exchange.refuse(error)),
                Ok(Some(preflight)) => preflight,
                Err(error) => exchange.refuse(error),
            };
            let mut response = exchange.render(response);
            if exchange.reply.is_some() {
                response = Box::pin(exchange.seal(response)).await;
            }
            exchange.finish(response)
        })
    }
}

/// How long whoever asks still waits, where it says so: a service that works for somebody else does.
fn patience(headers: &HeaderMap) -> Option<Duration> {
    headers.get(DEADLINE_HEADER)?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

/// What services ask each other to see who is alive.
const PROBED_ROUTE: &str = "/health";

/// One request and its answer. It lives inside the request's scope.
struct Exchange {
    edge: Arc<Inner>,
    begun: Instant,
    /// When whoever asks no longer waits.
    deadline: Instant,
    correlation_id: CorrelationId,
    client: IpAddr,
    route: Arc<Route>,
    method: Method,
    path: Option<PathAndQuery>,
    cors_origin: Option<HeaderValue>,
    /// Another service looks whether this one is alive.
    is_probe: bool,
    asked: Asked,
    /// How the answer is to be encrypted, if it is.
    reply: Option<Reply>,
    /// `None` until the answer is ready, and for good when the client leaves before.
    answered: Option<(StatusCode, Duration)>,
}

impl Exchange {
    fn begin(edge: Arc<Inner>, request: &Request, arrival: &Arrival) -> (Self, Scope) {
        let (state, headers) = (&edge.state, request.headers());
        let (correlation_id, trace) = ids_of(headers, &state.ids);
        let client = client_address(arrival.peer, headers, &state.trusted_proxies);
        let begun = Instant::now();
        let deadline = begun + patience(headers).map_or(state.request_timeout, |it| it.min(state.request_timeout));
        let scope = Scope {
            service: Arc::clone(&state.service),
            correlation_id: Some(correlation_id.clone()),
            trace: Some(trace),
            client: Some(client),
            deadline: Some(deadline),
        };
        state.metrics.active_requests().inc();
        let route = edge.routes.find(request.uri().path());
        let exchange = Self {
            begun,
            deadline,
            correlation_id,
            client,
            is_probe: &*route.template == PROBED_ROUTE && headers.get(header::USER_AGENT) == Some(&PROBE_AGENT),
            route,
            method: request.method().clone(),
            path: request.uri().path_and_query().cloned(),
            cors_origin: state.origins.allowed_origin(headers),
            asked: Asked::Nothing,
            reply: None,
            answered: None,
            edge,
        };
        (exchange, scope)
    }

    /// The method, and the path with its query.
    fn line(&self) -> (&Method, &str) {
        (&self.method, self.path.as_ref().map_or("/", PathAndQuery::as_str))
    }

    fn path(&self) -> &str {
        self.path.as_ref().map_or("", PathAndQuery::path)
    }

    /// Refuses what must not reach the handler, and answers what need not.
    async fn admit(&mut self, request: &mut Request, arrival: Arrival) -> Result<Option<Response>, Error> {
        let state = &*self.edge.state;
        if let Some(refusal) = arrival.refusal {
            return Err(refusal.into());
        }
        if arrival.is_late && !self.route.is_unlimited {
            return Err(overloaded("the request waited too long to be read"));
        }
        if !self.route.is_passed_on {
            (self.asked, self.reply) = state.encryption.read(request)?;
        }
        state.origins.admit(request)?;
        if is_trusted(arrival.peer.ip().to_canonical(), &state.trusted_proxies) {
            request.extensions_mut().insert(ThroughProxy(true));
        }
        if !self.route.is_unlimited {
            let certified = arrival.identity.filter(|_| is_of_its_own(request));
            self.identify_and_count(request, certified).await?;
        }
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > state.max_body_bytes) {
            return Err(too_large());
        }
        Ok(state.origins.answer_preflight(request))
    }

    /// Who shows a good token counts as its subject, wherever from; all others count by their address. Services of the
    /// system are not limited. Who shows no token at all is whom the certificate of the connection says.
    async fn identify_and_count(&self, request: &mut Request, certified: Option<Arc<Claims>>) -> Result<(), Error> {
        let state = &self.edge.state;
        let shown = match &state.tokens {
            Some(tokens) => shown(request.headers(), tokens).await,
            None => None,
        };
        let certified = certified.filter(|_| !shows_token(request.headers()));
        let shown = shown.or(certified.map(Shown::Good));
        let is_service = matches!(&shown, Some(Shown::Good(claims)) if claims.has_scope(SERVICE_SCOPE));
        if let Some(limits) = state.limits.as_ref().filter(|_| !is_service) {
            let subject = match &shown {
                Some(Shown::Good(claims)) => Some(claims.sub.as_str()),
                _ => None,
            };
            limits.count(self.client, subject).map_err(|wait| over_the_limit(limits, wait))?;
        }
        if let Some(shown) = shown {
            request.extensions_mut().insert(shown);
        }
        Ok(())
    }

    /// Reads the body, waits for a turn, and calls the handler, all within the time limit.
    async fn work(&mut self, mut request: Request) -> Result<Response, Error> {
        let state = &*self.edge.state;
        let deadline = self.deadline;
        let mut memory = state.overload.body();
        // What is rarely awaited is boxed, since every request would have to carry the room for it.
        if !request.body().is_end_stream() {
            let body = std::mem::take(request.body_mut());
            let is_encrypted = matches!(self.asked, Asked::Both(_)) && !self.route.is_unlimited;
            let purpose = if is_encrypted { Purpose::Decrypt } else { Purpose::Keep };
            let whole = read_whole(body, state.max_body_bytes, &mut memory, purpose);
            let mut whole = Box::pin(timeout_at(deadline, whole)).await.map_err(|_elapsed| too_slow())??;
            if is_encrypted {
                // Not boxed: it has room where the handler's future comes to stand.
                let opened = state.encryption.open(self.line(), self.reply.as_ref(), &whole).await;
                // Whoever has no key could not read an answer either.
                let plain = opened.inspect_err(|_| self.reply = None)?;
                memory.take(plain.len())?;
                // That of the encrypted one; the body knows its own.
                request.headers_mut().remove(header::CONTENT_LENGTH);
                request.extensions_mut().insert(Decrypted);
                // The tag leaves room behind it, and with that `Bytes` would allocate a reference count.
                whole = plain.into_boxed_slice().into();
            }
            *request.body_mut() = Body::from(whole);
            if state.max_body_bytes > FRAMEWORK_BODY_LIMIT {
                DefaultBodyLimit::disable().apply(&mut request);
            }
        } else if matches!(self.asked, Asked::Both(_)) && self.reply.is_none() {
            return Err(no_key());
        }
        let _turn = if self.route.is_unlimited {
            None
        } else if let Some(turn) = state.overload.try_admit() {
            Some(turn)
        } else {
            Some(Box::pin(timeout_at(deadline, state.overload.admit())).await.map_err(|_elapsed| too_late())??)
        };
        // A router is always ready.
        let handled = AssertUnwindSafe(self.edge.router.clone().call(request)).catch_unwind();
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
        if let Some(reason) = refusal(&error) {
            self.edge.state.metrics.rejected(reason);
        }
        error.into_response()
    }

    fn render(&self, response: Response) -> Response {
        let request = problem::Request {
            path: self.path(),
            correlation_id: self.correlation_id.as_str(),
            error_member: self.edge.state.error_member,
        };
        problem::render(response, &request)
    }

    /// The answer as the caller wants it, encrypted. In plain text stands at most that this failed.
    async fn seal(&self, response: Response) -> Response {
        let Some(reply) = &self.reply else { return response };
        let sealed = self.edge.state.encryption.seal(self.line(), reply, response, self.deadline).await;
        sealed.unwrap_or_else(|error| self.render(self.refuse(error)))
    }

    fn finish(mut self, mut response: Response) -> Response {
        let duration = self.begun.elapsed();
        self.edge.state.origins.write(self.cors_origin.take(), response.headers_mut());
        own_headers::write(response.headers_mut(), duration, self.correlation_id.as_str());
        self.answered = Some((response.status(), duration));
        if self.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        response
    }
}

impl Drop for Exchange {
    /// Counted and logged at its end, whether it was answered or its client left.
    fn drop(&mut self) {
        self.edge.state.metrics.active_requests().dec();
        let (status, duration) = self.answered.unwrap_or_else(|| (client_left(), self.begun.elapsed()));
        self.route.observe(&self.edge.state.metrics, &self.method, status, duration.as_secs_f64());
        let record = AccessRecord {
            method: &self.method,
            route: &self.route.template,
            path: self.path(),
            status: status.as_u16(),
            duration,
            client: Some(self.client),
            is_probe: self.is_probe,
        };
        with_current(|scope| self.edge.state.logs.access(&record, scope));
    }
}

pub(super) fn too_late() -> Error {
    Error::new(Kind::Unavailable, "The request took too long").caused_by("the request's time limit is over")
}

/// What nginx writes into its log for a client that did not wait for the answer; never sent.
fn client_left() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// Why the edge answered by itself, for the metrics; `None` for what is no refusal.
fn refusal(error: &Error) -> Option<&'static str> {
    Some(match error.kind() {
        _ if error.is_caused_by::<Cause>() => "encryption",
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

/// What the framework's own extractors take unless they are told otherwise; the edge bounds bodies itself.
const FRAMEWORK_BODY_LIMIT: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Identity, Service};
    use crate::testing::TestApp;

    #[tokio::test]
    async fn a_request_that_waited_too_long_is_refused_and_one_for_health_is_not() {
        const IDENTITY: Identity = Identity { name: "test-service", short_name: "test", about: "Under test." };
        let app = TestApp::start(|context| Service::new(IDENTITY, context));
        for (path, status, retry_after) in [("/", 503, Some("1")), ("/health", 200, None)] {
            let arrival =
                Arrival { peer: ([127, 0, 0, 1], 50_000).into(), refusal: None, is_late: true, identity: None };
            let answer = app.edge().answer(Request::get(path).body(Body::empty()).unwrap(), arrival).await;
            assert_eq!(answer.status(), status, "{path}");
            assert_eq!(answer.headers().get("retry-after").map(|value| value.to_str().unwrap()), retry_after);
        }
    }
}
