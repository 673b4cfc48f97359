//! The service in process, and what its callers say.

use std::num::NonZeroUsize;
use std::sync::Arc;

use chassis::auth::{Parties, PoolSize, ServiceAuthenticator, TokenIssuer};
use chassis::client::ServiceUrls;
use chassis::ports::{MemoryOutbox, Outbox};
use chassis::service::{Context, Service};
use chassis::testing::{TestApp, TestResponse, token_keys};
use http::Method;
use serde_json::{Value, json};
use users::store::UserStore;
use users::{MemoryUsers, Parts};

pub(crate) const PRODUCTION: &[(&str, &str)] =
    &[("PRODUCTION", "true"), ("INTERNAL_PORT", "0"), ("KEELSON_HOST", "0.0.0.0")];

/// The service on this store, which tells nobody of its users.
pub(crate) fn service_on(store: Arc<dyn UserStore>, context: &Context) -> Service {
    service_of(store, Arc::new(MemoryOutbox::default()), None, context)
}

/// The service on this store and its events.
pub(crate) fn service_of(
    store: Arc<dyn UserStore>,
    outbox: Arc<dyn Outbox>,
    analytics: Option<ServiceUrls>,
    context: &Context,
) -> Service {
    users::service(Parts { store, outbox, analytics, ..parts(context) }, context).unwrap()
}

/// The service that knows other services by this.
pub(crate) fn service_knowing(authenticator: Arc<dyn ServiceAuthenticator>, context: &Context) -> Service {
    users::service(Parts { authenticator: Some(authenticator), ..parts(context) }, context).unwrap()
}

/// On stores in memory, telling nobody.
fn parts(context: &Context) -> Parts {
    let parties = Parties { issuer: "keelson".into(), audience: "keelson".into() };
    let lifetime = std::time::Duration::from_secs(24 * 3600);
    let (clock, ids) = (Arc::clone(&context.clock), Arc::clone(&context.ids));
    Parts {
        store: MemoryUsers::new(),
        outbox: Arc::new(MemoryOutbox::default()),
        analytics: None,
        hashing: PoolSize::of(NonZeroUsize::new(2).unwrap()),
        answer_lifetime: lifetime,
        keys: token_keys(),
        issuer: TokenIssuer::new(token_keys(), parties, lifetime, clock, ids),
        authenticator: None,
    }
}

pub(crate) fn service(context: &Context) -> Service {
    service_on(MemoryUsers::new(), context)
}

pub(crate) fn app() -> TestApp {
    TestApp::start(service)
}

pub(crate) fn in_production() -> TestApp {
    TestApp::start_with(PRODUCTION, service)
}

pub(crate) async fn create(app: &TestApp, name: &str, email: &str) -> TestResponse {
    app.post("/api/v1/users", json!({ "name": name, "email": email, "age": 30 }).to_string()).await
}

pub(crate) async fn register(app: &TestApp, username: &str, password: &str) -> TestResponse {
    let email = format!("{username}@example.com");
    let body = json!({ "username": username, "email": email, "password": password });
    app.post("/api/v1/users/register", body.to_string()).await
}

pub(crate) async fn log_in(app: &TestApp, username: &str, password: &str) -> TestResponse {
    let body = json!({ "username": username, "password": password });
    app.post("/api/v1/users/login", body.to_string()).await
}

/// Registers somebody; gives the id and a token.
pub(crate) async fn member(app: &TestApp, username: &str) -> (String, String) {
    let registered = register(app, username, PASSWORD).await.expect(200).json();
    let token = log_in(app, username, PASSWORD).await.expect(200).json();
    (text(&registered["data"]["user_id"]), text(&token["access_token"]))
}

/// A request with any header.
pub(crate) async fn with(app: &TestApp, method: Method, path: &str, header: (&str, &str), body: Value) -> TestResponse {
    let request = app.request(method, path).header(header.0, header.1);
    app.send(request.body(body.to_string().into()).unwrap()).await
}

pub(crate) async fn put(app: &TestApp, path: &str, body: Value) -> TestResponse {
    with(app, Method::PUT, path, ("content-type", "application/json"), body).await
}

pub(crate) async fn delete(app: &TestApp, path: &str) -> TestResponse {
    with(app, Method::DELETE, path, ("accept", "*/*"), Value::Null).await
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// One that nobody else has.
pub(crate) const PASSWORD: &str = "correct horse battery";
