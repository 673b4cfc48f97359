//! The gateway in process, servers in the place of the services behind it, and what those were asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use chassis::client::{Places, ServiceUrls};
use chassis::testing::{TestApp, TestResponse, TestServer};
use gateway::Parts;
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) const USERS: &str = "/api/v1/users";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// The values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }
}

/// What a service answers.
#[derive(Debug, Clone, Default)]
struct Told {
    status: Option<u16>,
    headers: Vec<(&'static str, &'static str)>,
    body: &'static str,
}

/// A service behind the gateway: remembers what it is asked, and answers as it is told, or 200 with nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upstream {
    asked: Arc<Mutex<Vec<Asked>>>,
    told: Arc<Mutex<Told>>,
}

impl Upstream {
    pub(crate) async fn serve(&self) -> TestServer {
        TestServer::start(Router::new().fallback(answer).with_state(self.clone())).await
    }

    pub(crate) fn tell(&self, status: u16, headers: &[(&'static str, &'static str)], body: &'static str) {
        *self.told.lock().unwrap() = Told { status: Some(status), headers: headers.to_vec(), body };
    }

    /// Everything that it was asked since the last time, but whether it is alive.
    pub(crate) fn taken(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The one request since the last time.
    pub(crate) fn only(&self) -> Asked {
        let taken = self.taken();
        let [asked] = &taken[..] else { panic!("not one request: {taken:?}") };
        asked.clone()
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().unwrap().as_str().to_owned();
    if target == "/health" {
        return Response::new(Body::from("{}"));
    }
    let body = body.collect().await.unwrap().to_bytes();
    let asked = Asked { method: parts.method, target, headers: parts.headers, body };
    upstream.asked.lock().unwrap().push(asked);
    let told = upstream.told.lock().unwrap().clone();
    let answer = Response::builder().status(told.status.unwrap_or(200));
    let answer = told.headers.iter().fold(answer, |answer, (name, value)| answer.header(*name, *value));
    answer.body(Body::from(told.body)).unwrap()
}

/// A service at one address, or at several with commas between them.
pub(crate) fn at(urls: &str) -> Option<Places> {
    Some(urls.parse::<ServiceUrls>().unwrap().into())
}

/// The gateway with users alone behind it.
pub(crate) fn before_users(urls: &str) -> TestApp {
    TestApp::start(|context| gateway::service(Parts { users: at(urls), ..Parts::default() }, context).unwrap())
}

/// The gateway with all services behind it.
pub(crate) struct Site {
    pub(crate) app: TestApp,
    pub(crate) users: Upstream,
    orders: Upstream,
    analytics: Upstream,
    ingest: Upstream,
    _servers: [TestServer; 4],
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&'static str, &str)]) -> Self {
        let [users, orders, analytics, ingest] = [(); 4].map(|()| Upstream::default());
        let servers = [users.serve().await, orders.serve().await, analytics.serve().await, ingest.serve().await];
        let [of_users, of_orders, of_analytics, of_ingest] = servers.each_ref().map(|server| at(&server.url()));
        let parts = Parts { users: of_users, orders: of_orders, analytics: of_analytics, ingest: of_ingest };
        let app = TestApp::start_with(settings, |context| gateway::service(parts, context).unwrap());
        Self { app, users, orders, analytics, ingest, _servers: servers }
    }

    /// The following requests come from this address.
    pub(crate) fn of_peer(self, address: &str) -> Self {
        Self { app: self.app.from_peer(address), ..self }
    }

    pub(crate) async fn get(&self, target: &str, headers: &[(&str, &str)]) -> TestResponse {
        self.send(Method::GET, target, headers, "").await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> TestResponse {
        let request = self.app.request(method, target);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.app.send(request.body(body.into()).unwrap()).await
    }

    /// Which services were asked since the last time, and what.
    pub(crate) fn taken(&self) -> Vec<(&'static str, Asked)> {
        let all = [
            ("users", &self.users),
            ("orders", &self.orders),
            ("analytics", &self.analytics),
            ("ingest", &self.ingest),
        ];
        let taken = all.into_iter().map(|(name, upstream)| (name, upstream.taken()));
        taken.flat_map(|(name, asked)| asked.into_iter().map(move |asked| (name, asked))).collect()
    }
}

/// Writes the same on each connection, whatever is asked there, and hangs up.
pub(crate) struct RawServer {
    pub(crate) url: String,
    _serving: JoinSet<()>,
}

impl RawServer {
    pub(crate) async fn start(text: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut connection, _peer) = listener.accept().await.unwrap();
                let _request = connection.read(&mut [0; 8192]).await.unwrap();
                connection.write_all(text.as_bytes()).await.unwrap();
            }
        });
        Self { url, _serving: serving }
    }
}
