//! What a call takes along of the request that asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::routing::any;
use http::StatusCode;

use super::*;

const PRODUCTION: [(&str, &str); 3] = [("PRODUCTION", "true"), ("INTERNAL_PORT", "0"), ("KEELSON_HOST", "0.0.0.0")];

async fn asked_with(app: &TestApp, headers: &[(&'static str, &str)]) -> TestResponse {
    let request = app.request(Method::POST, "/call/user-service");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_ids_and_the_time_that_is_left_are_handed_on() {
    let (app, _server) = beside(echoing()).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let waits = [("x-correlation-id", "the-id"), ("traceparent", trace), ("x-envoy-expected-rq-timeout-ms", "5000")];
    let called = asked_with(&app, &waits).await.expect(200).json();
    let headers = &called["result"]["headers"];
    assert_eq!(headers["x-correlation-id"], "the-id");
    let continued = headers["traceparent"].as_str().unwrap();
    assert!(continued.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && continued != trace, "{continued}");
    let left: u64 = headers["x-envoy-expected-rq-timeout-ms"].as_str().unwrap().parse().unwrap();
    assert!((1..=5000).contains(&left), "{left}");
}

#[tokio::test]
async fn the_callers_own_token_is_handed_on_and_nothing_else_of_the_caller() {
    let (app, _server) = beside(echoing()).await;
    let (token, other) = (app.token("ann", &[]), app.token("bob", &[]));
    let bearer = format!("bearer {token}");
    for (shown, handed_on) in [
        (&[("authorization", bearer.as_str())][..], Some(&token)),
        (&[], None),
        (&[("x-access-token", token.as_str())], Some(&token)),
        (&[("authorization", bearer.as_str()), ("x-access-token", other.as_str())], Some(&token)),
        (&[("authorization", "Basic YTpi")], None),
        (&[("cookie", "session=1"), ("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1")], None),
    ] {
        let called = asked_with(&app, shown).await.expect(200).json();
        let headers = &called["result"]["headers"];
        let expected = handed_on.map_or(Value::Null, |token| json!(format!("Bearer {token}")));
        assert_eq!(headers["authorization"], expected, "{shown:?}");
        for name in ["x-access-token", "cookie", "x-forwarded-for", "forwarded"] {
            assert_eq!(headers[name], Value::Null, "{shown:?}");
        }
    }
    asked_with(&app, &[("authorization", "Bearer bad")]).await.expect_problem(401, "Invalid or expired token");
}

#[tokio::test]
async fn production_asks_for_a_token_and_its_scope() {
    let server = TestServer::start(echoing()).await;
    let services = json!([entry("user-service", &server.url(), PATIENT)]).to_string();
    let settings = [&PRODUCTION[..], &[("CONSUMER_SERVICES", services.as_str())]].concat();
    let app = TestApp::start_with(&settings, service);
    asked_with(&app, &[]).await.expect_problem(401, "Access token is missing");
    asked_with(&app, &[("authorization", "Bearer bad")]).await.expect_problem(401, "Invalid or expired token");
    for scopes in [&["ops:read", "users:write", "calls"][..], &[]] {
        let bearer = format!("Bearer {}", app.token("ann", scopes));
        let refused = asked_with(&app, &[("authorization", bearer.as_str())]).await;
        refused.expect_problem(403, "The token lacks the scope calls:invoke");
    }
    assert_eq!(server.connections(), 0);
    let bearer = format!("Bearer {}", app.token("ann", &["calls:invoke"]));
    let called = asked_with(&app, &[("authorization", bearer.as_str())]).await.expect(200).json();
    assert_eq!(called["result"]["headers"]["authorization"], bearer);
}

#[tokio::test]
async fn a_key_is_handed_on_and_lets_a_call_be_tried_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    // Each second attempt succeeds.
    let answer = any(async move |request: Request| match counted.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Err(StatusCode::SERVICE_UNAVAILABLE),
        _ => Ok(echo(request).await),
    });
    let (app, _server) = beside(Router::new().fallback(answer)).await;
    let called = asked_with(&app, &[("idempotency-key", "k1")]).await.expect(200).json();
    assert_eq!((&called["attempts"], &called["status"]), (&json!(2), &json!(200)));
    assert_eq!(called["result"]["headers"]["idempotency-key"], "k1");
    let without = asked_with(&app, &[]).await.expect_problem(502, "Error calling user-service");
    assert_eq!(without["upstream_status"], 503);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    asked_with(&app, &[("idempotency-key", "two words")]).await.expect(400);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}
