//! The service in process, and what its callers say.

use std::sync::Arc;

use analytics::store::EventStore;
use analytics::{MemoryEvents, Parts};
use chassis::service::{Context, Service};
use chassis::testing::{TestApp, TestResponse};
use serde_json::{Value, json};

pub(crate) const PRODUCTION: &[(&str, &str)] =
    &[("PRODUCTION", "true"), ("INTERNAL_PORT", "0"), ("KEELSON_HOST", "0.0.0.0")];

/// The service on this store, with users at this address.
pub(crate) fn service_on(store: Arc<dyn EventStore>, users: Option<&str>, context: &Context) -> Service {
    let users = users.map(|url| url.parse().unwrap());
    analytics::service(Parts { store, users, tokens: None }, context).unwrap()
}

pub(crate) fn service(context: &Context) -> Service {
    service_on(MemoryEvents::new(), None, context)
}

pub(crate) fn app() -> TestApp {
    TestApp::start(service)
}

pub(crate) async fn post(app: &TestApp, event: Value) -> TestResponse {
    app.post("/api/v1/analytics/events", event.to_string()).await
}

/// A request with a key.
pub(crate) async fn post_keyed(app: &TestApp, key: &str, event: Value) -> TestResponse {
    let request = app.request(http::Method::POST, "/api/v1/analytics/events").header("idempotency-key", key);
    app.send(request.body(event.to_string().into()).unwrap()).await
}

pub(crate) async fn stats(app: &TestApp, query: &str) -> Value {
    app.get(&format!("/api/v1/analytics/stats{query}")).await.expect(200).json()["data"].clone()
}

pub(crate) fn page_view() -> Value {
    json!({ "event_type": "page_view", "event_name": "Start page" })
}
