//! The service in process, a server in the place of users, and what callers say.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::client::ServiceUrls;
use chassis::ports::{MemoryOutbox, Outbox};
use chassis::service::{Context, Service};
use chassis::testing::{TestApp, TestResponse, TestServer};
use http::{HeaderMap, Method, StatusCode, Uri};
use orders::store::OrderStore;
use orders::{MemoryOrders, Parts};
use serde_json::{Value, json};

pub(crate) const ORDERS: &str = "/api/v1/orders";
pub(crate) const PRODUCTION: &[(&str, &str)] =
    &[("PRODUCTION", "true"), ("INTERNAL_PORT", "0"), ("KEELSON_HOST", "0.0.0.0")];

/// Users, as far as orders asks it. Answers in production as users does: for one's own token, or a scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Users {
    known: Arc<Mutex<HashSet<String>>>,
    /// What it was asked, and with which headers.
    pub(crate) asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    /// A status that it answers instead; 0 tells who is there.
    pub(crate) failure: Arc<AtomicU16>,
    /// For how long it thinks, in milliseconds.
    pub(crate) delay_ms: Arc<AtomicU64>,
}

impl Users {
    /// These are users.
    pub(crate) fn of(known: &[&str]) -> Self {
        let users = Self::default();
        users.known.lock().unwrap().extend(known.iter().map(|id| (*id).to_owned()));
        users
    }

    pub(crate) fn remove(&self, id: &str) {
        self.known.lock().unwrap().remove(id);
    }

    pub(crate) async fn serve(&self) -> TestServer {
        TestServer::start(Router::new().fallback(answer).with_state(self.clone())).await
    }

    /// Paths of users that were asked for, without the looks whether it is alive.
    pub(crate) fn paths(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(path, _)| path.clone()).filter(|path| path != "/health").collect()
    }
}

async fn answer(State(users): State<Users>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().to_owned();
    users.asked.lock().unwrap().push((path.clone(), headers));
    tokio::time::sleep(Duration::from_millis(users.delay_ms.load(Ordering::Relaxed))).await;
    if path == "/health" {
        return "{}".into_response();
    }
    if let Ok(failure) = StatusCode::from_u16(users.failure.load(Ordering::Relaxed)) {
        return failure.into_response();
    }
    let known = users.known.lock().unwrap();
    match path.strip_prefix("/api/v1/users/") {
        Some(id) if known.contains(id) => format!("{{\"id\":\"{id}\"}}").into_response(),
        // Users has routes of its own beside those of users.
        Some("profile") => r#"{"success":true,"data":{"user_id":"x"}}"#.into_response(),
        Some("login" | "register") => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        _ => (StatusCode::NOT_FOUND, r#"{"detail":"User not found"}"#).into_response(),
    }
}

/// The service on this store, which tells nobody of its orders.
pub(crate) fn service_on(store: Arc<dyn OrderStore>, users: &str, context: &Context) -> Service {
    service_of(store, Arc::new(MemoryOutbox::default()), users, None, context)
}

/// The service on this store and its events.
pub(crate) fn service_of(
    store: Arc<dyn OrderStore>,
    outbox: Arc<dyn Outbox>,
    users: &str,
    analytics: Option<ServiceUrls>,
    context: &Context,
) -> Service {
    let answer_lifetime = Duration::from_secs(24 * 3600);
    let users = users.parse().unwrap();
    orders::service(Parts { store, outbox, users, analytics, tokens: None, answer_lifetime }, context).unwrap()
}

/// The service with users beside it.
pub(crate) struct Site {
    pub(crate) app: TestApp,
    pub(crate) users: Users,
    pub(crate) server: TestServer,
}

impl Site {
    /// In development, with `ann` and `bob` among users.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&'static str, &str)]) -> Self {
        let users = Users::of(&["ann", "bob"]);
        let server = users.serve().await;
        let url = server.url();
        let app = TestApp::start_with(settings, |context| service_on(MemoryOrders::new(), &url, context));
        Self { app, users, server }
    }

    pub(crate) async fn post(&self, body: &Value) -> TestResponse {
        self.app.post(ORDERS, body.to_string()).await
    }

    /// An order of this user, whole.
    pub(crate) async fn ordered(&self, user_id: &str) -> Value {
        self.post(&laptop(user_id)).await.expect(201).json()
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> TestResponse {
        self.with_header(Method::PUT, path, ("content-type", "application/json"), body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> TestResponse {
        self.with_header(Method::DELETE, path, ("accept", "*/*"), Value::Null).await
    }

    /// A request with any header.
    pub(crate) async fn with_header(
        &self,
        method: Method,
        path: &str,
        header: (&str, &str),
        body: Value,
    ) -> TestResponse {
        let request = self.app.request(method, path).header(header.0, header.1);
        self.app.send(request.body(body.to_string().into()).unwrap()).await
    }
}

/// The example of seed 004.
pub(crate) fn laptop(user_id: &str) -> Value {
    json!({
        "user_id": user_id,
        "items": [{ "product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99 }],
        "shipping_address": "123 Main St, City, Country",
    })
}

pub(crate) fn path(order: &Value) -> String {
    format!("{ORDERS}/{}", text(&order["id"]))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
