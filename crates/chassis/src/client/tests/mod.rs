//! Calls of real servers on this machine, good ones and bad ones.

mod failures;
mod forwarding;
mod handing_on;
mod names;
mod pool;
mod resilience;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::testing::{TestServer, check_exposition};

/// For tests on a machine that has much else to do.
const PATIENT: CallLimits = CallLimits { timeout: Duration::from_secs(20), max_answer_bytes: 1 << 20 };

fn client_of(url: &str) -> ServiceClient {
    limited(url, PATIENT)
}

fn limited(url: &str, limits: CallLimits) -> ServiceClient {
    ServiceClient::new("user-service", url.parse::<ServiceUrls>().unwrap(), limits, &Metrics::new("order-service", "1"))
        .unwrap()
}

/// Answers what it was asked.
async fn echo(request: Request) -> axum::Json<Value> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers: serde_json::Map<_, _> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap()))).collect();
    axum::Json(json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8(body.to_vec()).unwrap(),
    }))
}

async fn echoing() -> TestServer {
    TestServer::start(Router::new().fallback(echo)).await
}

async fn echoed(call: Call<'_>) -> Value {
    call.send().await.unwrap().json().unwrap()
}

#[tokio::test]
async fn a_call_arrives_as_it_was_put_together() {
    let server = echoing().await;
    let client = client_of(&format!("{}/base", server.url()));
    let call = client
        .call(Method::POST, &["api", "v1", "../../../health"])
        .query("skip", "0")
        .query("name", "a&b=ü")
        .json(&json!({ "a": 1 }))
        .idempotency_key("k1")
        .bearer(&"the-token".into());
    let asked = echoed(call).await;
    assert_eq!(asked["method"], "POST");
    assert_eq!(asked["target"], "/base/api/v1/..%2F..%2F..%2Fhealth?skip=0&name=a%26b%3D%C3%BC");
    assert_eq!(asked["body"], r#"{"a":1}"#);
    for (name, value) in [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("idempotency-key", "k1"),
        ("authorization", "Bearer the-token"),
    ] {
        assert_eq!(asked["headers"][name], value);
    }
}

#[tokio::test]
async fn many_calls_one_after_another_take_one_connection() {
    let server = echoing().await;
    let client = client_of(&server.url());
    for number in 0..50 {
        let asked = echoed(client.get(&["users", &number.to_string()])).await;
        assert_eq!(asked["target"], format!("/users/{number}"));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = echoing().await;
    let to = elsewhere.url();
    let redirect = move || async move { (StatusCode::TEMPORARY_REDIRECT, [("location", to)]) };
    let server = TestServer::start(Router::new().route("/users", get(redirect))).await;
    let answer = client_of(&server.url()).get(&["users"]).send().await.unwrap();
    assert_eq!(answer.status(), 307);
    assert_eq!(answer.headers()["location"], elsewhere.url().as_str());
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_answer_is_the_callers_to_judge_whatever_its_status() {
    let status = |request: Request| async move {
        let status = request.uri().path().trim_start_matches('/').parse::<u16>().unwrap();
        Response::builder().status(status).body(Body::from("{}")).unwrap()
    };
    let server = TestServer::start(Router::new().fallback(status)).await;
    let client = client_of(&server.url());
    for (status, failed) in [(200, false), (404, false), (429, false), (500, true), (503, true)] {
        let answer = client.get(&[&status.to_string()]).send().await.unwrap();
        assert_eq!(answer.status(), status);
        let judged = answer.unless_failed().map(|answer| answer.status().as_u16());
        match judged {
            Ok(kept) => assert!(!failed && kept == status),
            Err(error) => {
                assert!(failed && error.to_string().starts_with("user-service: it is unavailable: it answered 5"));
            }
        }
    }
}

#[tokio::test]
async fn a_ping_asks_whether_the_service_is_alive() {
    let server = TestServer::start(Router::new().route("/health", get(|| async { "{}" }))).await;
    client_of(&server.url()).ping().await.unwrap();
    let error = client_of(&format!("{}/elsewhere", server.url())).ping().await.unwrap_err();
    assert_eq!(error.to_string(), "user-service: it is unavailable: it answered 404 Not Found");
}

#[tokio::test]
async fn calls_are_counted_by_service_and_outcome() {
    let never = || async { std::future::pending::<()>().await };
    let routes = Router::new()
        .route("/users", get(|| async { "{}" }))
        .route("/broken", any(|| async { StatusCode::BAD_GATEWAY }))
        .route("/large", get(|| async { "more than five" }))
        .route("/never", get(never));
    let server = TestServer::start(routes).await;
    let metrics = Metrics::new("order-service", "1");
    let client = |name: &str, url: &str, timeout| {
        let limits = CallLimits { timeout, max_answer_bytes: 5 };
        ServiceClient::new(name, url.parse::<ServiceUrls>().unwrap(), limits, &metrics).unwrap()
    };
    let users = client("user-service", &server.url(), PATIENT.timeout);
    for path in ["users", "users", "broken", "large"] {
        let _judged_below = users.get(&[path]).send().await;
    }
    let left = tokio::time::timeout(Duration::from_millis(1), users.get(&["never"]).send()).await;
    assert!(left.is_err());
    let impatient = client("user-service", &server.url(), Duration::from_millis(50));
    let _timed_out = impatient.get(&["never"]).send().await;
    let _refused = client("analytics-service", "http://127.0.0.1:1", PATIENT.timeout).get(&["stats"]).send().await;

    let page = String::from_utf8(metrics.render().unwrap()).unwrap();
    for (peer, outcome, calls) in [
        ("user-service", "answered", 2),
        ("user-service", "failed", 1),
        ("user-service", "too_large", 1),
        ("user-service", "timeout", 1),
        ("user-service", "cancelled", 1),
        ("user-service", "unavailable", 0),
        ("analytics-service", "unavailable", 1),
    ] {
        let line = format!(
            "service_calls_total{{outcome=\"{outcome}\",peer_service=\"{peer}\",service=\"order-service\"}} {calls}\n"
        );
        assert!(page.contains(&line), "{line}\n{page}");
    }
    assert_eq!(metrics.service_calls(), [("analytics-service".into(), 1), ("user-service".into(), 6)].into());
    check_exposition(&page);
}
