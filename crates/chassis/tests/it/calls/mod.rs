//! `POST /call/{service_name}`: a call of another service for whoever asks.

mod answers;
mod failures;
mod forgery;
mod handing_on;

use axum::Router;
use axum::extract::Request;
use chassis::service::{Context, Identity, Service};
use chassis::testing::{TestApp, TestResponse, TestServer};
use http::Method;
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

const IDENTITY: Identity = Identity { name: "test-service", short_name: "test", about: "A service under test." };
/// Seconds, for tests on a machine that has much else to do.
pub(crate) const PATIENT: f64 = 20.0;

pub(crate) fn service(context: &Context) -> Service {
    Service::new(IDENTITY, context)
}

/// A server as `CONSUMER_SERVICES` names it.
pub(crate) fn entry(name: &str, url: &str, timeout: f64) -> Value {
    let (host, port) = url.trim_start_matches("http://").rsplit_once(':').unwrap();
    json!({ "name": name, "endpoint": host, "port": port.parse::<u16>().unwrap(), "timeout": timeout })
}

/// A service in development that may call these.
pub(crate) fn app_with(entries: &[Value]) -> TestApp {
    TestApp::start_with(&[("CONSUMER_SERVICES", json!(entries).to_string().as_str())], service)
}

/// One that may call a server with these routes as `user-service`.
async fn beside(routes: Router) -> (TestApp, TestServer) {
    let server = TestServer::start(routes).await;
    (app_with(&[entry("user-service", &server.url(), PATIENT)]), server)
}

/// As a form has it.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Asks for a call without a body.
pub(crate) async fn call(app: &TestApp, service: &str, method: &str, path: &str) -> TestResponse {
    let target = format!("/call/{}?path={}&method={}", encoded(service), encoded(path), encoded(method));
    app.send(app.request(Method::POST, &target).body(axum::body::Body::empty()).unwrap()).await
}

/// Answers what it was asked.
async fn echo(request: Request) -> axum::Json<Value> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers: Map<_, _> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap()))).collect();
    axum::Json(json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8(body.to_vec()).unwrap(),
    }))
}

fn echoing() -> Router {
    Router::new().fallback(echo)
}
