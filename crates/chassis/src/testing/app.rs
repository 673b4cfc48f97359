//! A service in process: its real router with the edge around it, a manual clock, seeded ids, captured logs.
#![expect(clippy::expect_used, reason = "a test kit fails by panicking")]

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::time::{sleep, timeout};
use tracing::dispatcher::DefaultGuard;

use super::ManualClock;
use crate::auth::{KeyRing, SigningKey, TokenIssuer, TokenKeys, TokenVerifier};
use crate::clock::Clock;
use crate::config::{ChassisConfig, Layers, Reader};
use crate::http::{Application, Arrival, Edge, Operator, Routers, Shared, build_routers};
use crate::ids::Ids;
use crate::lifecycle::Lifecycle;
use crate::service::{Context, Service};
use crate::telemetry::correlation::Scope;
use crate::telemetry::logs::{Captured, LogSettings, Logs};

/// The operator's token of every test.
pub const OPERATOR_TOKEN: &str = "the-operator-token-of-a-test";

/// What signs the tokens of every test.
///
/// # Panics
/// Never: the key is sound.
#[must_use]
pub fn token_keys() -> Arc<TokenKeys> {
    let key = SigningKey::parse(&"the-secret-that-signs-tokens-of-tests".into()).expect("a sound key");
    TokenKeys::new(KeyRing { current: key, previous: None })
}

/// How long [`eventually`] waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// A service under test, without a socket: requests go straight into its router. Its workers run until
/// [`TestApp::shut_down`] or the end of the test.
///
/// `docs/ADDING_A_SERVICE.md` has a whole test that uses it.
pub struct TestApp {
    public: Edge,
    internal: Option<Edge>,
    peer: SocketAddr,
    tokens: TokenIssuer,
    logs: Arc<Logs>,
    captured: Captured,
    /// Lets a test begin the drain, and look at the service while it drains.
    pub lifecycle: Lifecycle,
    /// The clock of the service. It stands still until the test turns it.
    pub clock: Arc<ManualClock>,
}

impl TestApp {
    /// A service with the default settings of development.
    pub fn start(build: impl FnOnce(&Context) -> Service) -> Self {
        Self::start_with(&[], build)
    }

    /// A service with some settings.
    ///
    /// # Panics
    /// When the settings are wrong.
    pub fn start_with(settings: &[(&'static str, &str)], build: impl FnOnce(&Context) -> Service) -> Self {
        let clock = ManualClock::new();
        let shared_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let ids = Ids::seeded(Arc::clone(&shared_clock), 1);
        let context = Context {
            clock: Arc::clone(&shared_clock),
            ids,
            keys: None,
            process: "test".into(),
            name: None,
            version: "1.2.3".into(),
            tls: None,
        };
        let layers = Layers::of(settings);
        let mut reader = Reader::new(&layers);
        let config = ChassisConfig::read(&mut reader, 1, Ipv4Addr::LOCALHOST);
        let config = reader.finish(config).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let keys = token_keys();
        let (parties, lifetime) = (config.tokens.parties.clone(), config.tokens.lifetime);
        let (clock_of_tokens, ids) = (Arc::clone(&shared_clock), Arc::clone(&context.ids));
        let tokens = TokenIssuer::new(Arc::clone(&keys), parties, lifetime, clock_of_tokens, ids);
        let verifier = TokenVerifier::new(keys, config.tokens.parties.clone(), Arc::clone(&shared_clock));
        let (logs, captured) = Logs::captured(LogSettings::new("test"), shared_clock).expect("logs in memory start");
        let lifecycle = Lifecycle::new();
        let shared = Shared {
            config: Arc::new(config),
            logs: Arc::clone(&logs),
            lifecycle: lifecycle.clone(),
            operator: Arc::new(Operator(Some(SecretString::from(OPERATOR_TOKEN)))),
            tokens: Some(Arc::new(verifier)),
            configuration: Arc::new(Map::new()),
        };
        let mut service = build(&context);
        service.callees().update(&shared.config.consumer_services).expect("clients can be made");
        let workers = std::mem::take(&mut service.workers);
        let scope = Scope::service(service.name());
        let Routers { public, internal, .. } = build_routers(service, &shared);
        for worker in workers {
            lifecycle.spawn(worker.name, scope.clone(), (worker.start)(lifecycle.clone()));
        }
        let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
        Self { public, internal, peer, tokens, logs, captured, lifecycle, clock }
    }

    /// Lets the following requests come from this address.
    ///
    /// # Panics
    /// When it is no address.
    #[must_use]
    pub fn from_peer(mut self, address: &str) -> Self {
        self.peer = SocketAddr::new(address.parse().expect("an IP address"), 50_000);
        self
    }

    /// The edge of the public listener.
    #[cfg(test)]
    pub(crate) fn edge(&self) -> Edge {
        self.public.clone()
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> TestResponse {
        self.send_to(&self.public, request).await
    }

    /// Sends any request, and leaves the body of the answer to be read.
    pub async fn open(&self, request: Request<Body>) -> Response {
        self.answer(&self.public, request).await
    }

    /// Sends a request to the internal listener.
    ///
    /// # Panics
    /// When the service has none.
    pub async fn send_internal(&self, request: Request<Body>) -> TestResponse {
        self.send_to(self.internal.as_ref().expect("an internal listener"), request).await
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(self.request(Method::GET, path).body(Body::empty()).expect("a request")).await
    }

    /// `POST path` with a JSON text.
    pub async fn post(&self, path: &str, body: impl Into<Body>) -> TestResponse {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(body.into()).expect("a request")).await
    }

    /// A request of the operator.
    pub async fn operate(&self, method: Method, path: &str, body: impl Into<Body>) -> TestResponse {
        let request = self.request(method, path).header(header::AUTHORIZATION, format!("Bearer {OPERATOR_TOKEN}"));
        self.send(request.body(body.into()).expect("a request")).await
    }

    /// A token for this subject with these scopes, signed as the service's own are.
    ///
    /// # Panics
    /// When one of the scopes is none.
    #[must_use]
    pub fn token(&self, subject: &str, scopes: &[&str]) -> String {
        let token = self.tokens.issue(subject, subject, scopes).expect("a token");
        token.expose_secret().to_owned()
    }

    /// A request of the bearer of a token.
    pub async fn ask_as(&self, token: &str, method: Method, path: &str, body: impl Into<Body>) -> TestResponse {
        let request = self.request(method, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(body.into()).expect("a request")).await
    }

    /// The beginning of a request.
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header(header::HOST, "localhost")
    }

    /// Everything that was logged about requests so far.
    #[must_use]
    pub fn access_log(&self) -> String {
        self.logs.flush();
        self.captured.text()
    }

    /// Lets what else is logged on this thread stand there too, at `WARNING` and above, until what this returns is
    /// dropped.
    #[must_use]
    pub fn log_warnings(&self) -> DefaultGuard {
        tracing::dispatcher::set_default(&self.logs.dispatch())
    }

    /// Lets the service finish its work.
    ///
    /// # Panics
    /// When it does not, within 25 s.
    pub async fn shut_down(&self) {
        self.lifecycle.shut_down();
        let lifetimes =
            crate::config::Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: Duration::from_secs(25) };
        let ending = self.lifecycle.run_to_end(lifetimes).await.expect("signals can be listened for");
        assert_eq!(ending, crate::lifecycle::Ending::Clean);
    }

    async fn send_to(&self, edge: &Edge, request: Request<Body>) -> TestResponse {
        let asked = format!("{} {}", request.method(), request.uri());
        let (parts, body) = self.answer(edge, request).await.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        TestResponse { asked, status: parts.status, headers: parts.headers, body }
    }

    async fn answer(&self, edge: &Edge, request: Request<Body>) -> Response {
        let arrival = Arrival { peer: self.peer, refusal: None, is_late: false, identity: None };
        edge.clone().answer(request, arrival).await
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp").finish_non_exhaustive()
    }
}

/// An answer. Its checks show the body when they fail.
#[derive(Debug, Clone)]
pub struct TestResponse {
    asked: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl TestResponse {
    /// Checks the status.
    ///
    /// # Panics
    /// When it is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.asked, self.text());
        self
    }

    /// Checks that this is a problem body with this status and text, and gives it.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    pub fn expect_problem(self, status: u16, detail: &str) -> Value {
        let this = self.expect(status);
        assert_eq!(this.header("content-type"), "application/problem+json", "{}", this.asked);
        let problem = this.json();
        assert_eq!(problem["detail"], detail, "{}: {problem}", this.asked);
        assert_eq!(problem["status"], status, "{}: {problem}", this.asked);
        assert_eq!(problem["correlation_id"], this.header("x-correlation-id"), "{}: {problem}", this.asked);
        problem
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(HeaderValue::to_str).and_then(Result::ok).unwrap_or_default()
    }
}

/// Waits until `check` gives a value.
///
/// # Panics
/// When it does not within 10 s of real time.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut check: impl FnMut() -> F) -> T {
    let found = timeout(PATIENCE, async {
        loop {
            if let Some(value) = check().await {
                return value;
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}
