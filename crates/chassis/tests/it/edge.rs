//! The edge as callers meet it: ids, headers, limits, problem bodies.

use std::time::Duration;

use axum::body::{Body, Bytes};
use chassis::auth::Access;
use chassis::error::{Error, Kind};
use chassis::http::{Json, Path, Query, RawBody, Routes, ThroughProxy};
use chassis::service::{Context, Identity, Service};
use chassis::testing::TestApp;
use http::{Method, StatusCode};
use serde::Deserialize;
use utoipa_axum::routes;

const IDENTITY: Identity = Identity { name: "test-service", short_name: "test", about: "A service under test." };

#[derive(Deserialize)]
struct Order {
    quantity: u32,
}

fn service(context: &Context) -> Service {
    let routes = Routes::new()
        .route(Access::Public, routes!(echo))
        .route(Access::Public, routes!(put_order, get_order))
        .route(Access::Public, routes!(panics))
        .route(Access::Public, routes!(fails))
        .route(Access::Public, routes!(stuck))
        .route(Access::Public, routes!(is_proxied))
        .route(Access::Public, routes!(fails_as_text));
    Service::new(IDENTITY, context).routes(routes)
}

#[utoipa::path(post, path = "/echo", responses((status = 200)))]
async fn echo(RawBody(body): RawBody) -> Bytes {
    body
}

#[utoipa::path(get, path = "/orders/{id}", responses((status = 200)))]
async fn get_order() -> &'static str {
    "an order"
}

#[utoipa::path(put, path = "/orders/{id}", responses((status = 200)))]
async fn put_order(
    Path(id): Path<u32>,
    Query(_query): Query<Vec<(String, String)>>,
    Json(order): Json<Order>,
) -> String {
    format!("{id}: {}", order.quantity)
}

#[utoipa::path(get, path = "/panics", responses((status = 200)))]
async fn panics() {
    panic!("a secret in a panic");
}

#[utoipa::path(get, path = "/fails", responses((status = 200)))]
async fn fails() -> Error {
    Error::new(Kind::Unavailable, "Queue unavailable").caused_by("connection to 10.1.2.3 refused")
}

#[utoipa::path(get, path = "/stuck", responses((status = 200)))]
async fn stuck() {
    std::future::pending().await
}

#[utoipa::path(get, path = "/proxied", responses((status = 200)))]
async fn is_proxied(ThroughProxy(is_proxied): ThroughProxy) -> String {
    is_proxied.to_string()
}

/// As what stands behind a service that passes requests on may.
#[utoipa::path(get, path = "/text", responses((status = 502)))]
async fn fails_as_text() -> (StatusCode, [(&'static str, &'static str); 3], &'static str) {
    let headers = [("content-encoding", "gzip"), ("etag", "\"1\""), ("x-kept", "1")];
    (StatusCode::BAD_GATEWAY, headers, "not what the headers say")
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let app = TestApp::start(service);
    for path in ["/health", "/nowhere", "/panics", "/docs/"] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "strict-origin-when-cross-origin", "{path}");
        assert!(answer.header("x-process-time").parse::<f64>().unwrap() >= 0.0, "{path}");
        assert_eq!(answer.header("x-correlation-id").len(), 36, "{path}");
    }
}

#[tokio::test]
async fn a_correlation_id_is_kept_when_it_is_sound_and_replaced_otherwise() {
    let app = TestApp::start(service);
    let ask = async |name: &str, value: &str| {
        let request = app.request(Method::GET, "/health").header(name, value).body(Body::empty()).unwrap();
        app.send(request).await.header("x-correlation-id").to_owned()
    };
    assert_eq!(ask("x-correlation-id", "order-42").await, "order-42");
    assert_eq!(ask("x-request-id", "order-43").await, "order-43");
    assert_ne!(ask("x-correlation-id", "has space").await, "has space");
    assert_ne!(ask("x-correlation-id", &"a".repeat(129)).await, "a".repeat(129));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let app = TestApp::start(service);
    let problem = app.get("/nowhere").await.expect_problem(404, "Not Found");
    assert_eq!(problem["instance"], "/nowhere");
    assert_eq!(problem["title"], "Not Found");
    assert_eq!(problem["type"], "about:blank");
    let answer = app.post("/orders/1", "{}").await;
    let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "PUT"]);
    answer.expect_problem(405, "Method Not Allowed");
}

#[tokio::test]
async fn a_path_without_a_route_is_bounded_too_and_counted_as_unmatched() {
    let app = TestApp::start_with(&[("MAX_BODY_BYTES", "4")], service);
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("fo"), Ok("ur"), Ok("!")]);
    let request = http::Request::post("/nowhere").body(Body::from_stream(chunks)).unwrap();
    app.send(request).await.expect_problem(413, "Payload too large");
    assert!(app.access_log().contains(r#""route":"unmatched","path":"/nowhere""#), "{}", app.access_log());
}

#[tokio::test]
async fn a_failure_in_text_becomes_a_problem_and_keeps_no_header_of_its_body() {
    let answer = TestApp::start(service).get("/text").await;
    assert_eq!((answer.header("content-encoding"), answer.header("etag"), answer.header("x-kept")), ("", "", "1"));
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    answer.expect_problem(502, "Bad Gateway");
}

#[tokio::test]
async fn a_proxy_is_known_by_its_address_and_by_nothing_that_it_says() {
    for (peer, trusted, is_proxied) in [
        ("203.0.113.7", "", "false"),
        ("203.0.113.7", "10.0.0.0/8", "false"),
        ("10.0.0.1", "10.0.0.0/8", "true"),
        ("::ffff:10.0.0.1", "10.0.0.0/8", "true"),
    ] {
        let app = TestApp::start_with(&[("TRUSTED_PROXIES", trusted)], service).from_peer(peer);
        let request = app.request(Method::GET, "/proxied").header("x-forwarded-for", "10.0.0.1");
        let answer = app.send(request.body(Body::empty()).unwrap()).await.expect(200);
        assert_eq!(answer.text(), is_proxied, "{peer} and {trusted:?}");
    }
}

#[tokio::test]
async fn head_works_wherever_get_does() {
    let app = TestApp::start(service);
    for path in ["/", "/health", "/ready", "/metrics", "/status", "/openapi.json", "/orders/1"] {
        let request = app.request(Method::HEAD, path).body(Body::empty()).unwrap();
        let answer = app.send(request).await.expect(200);
        assert!(answer.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    let app = TestApp::start(service);
    let problem = app.get("/panics").await.expect_problem(500, "Internal Server Error");
    assert!(!problem.to_string().contains("secret"));
    app.get("/health").await.expect(200);
}

#[tokio::test]
async fn a_failed_dependency_is_a_503_without_its_cause() {
    let answer = TestApp::start(service).get("/fails").await;
    assert_eq!(answer.header("retry-after"), "5");
    let problem = answer.expect_problem(503, "Queue unavailable");
    assert!(!problem.to_string().contains("10.1.2.3"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_a_503() {
    let app = TestApp::start_with(&[("REQUEST_TIMEOUT", "2s")], service);
    app.get("/stuck").await.expect_problem(503, "The request took too long");
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_no_longer_than_whoever_asks_waits() {
    let app = TestApp::start_with(&[("REQUEST_TIMEOUT", "20s")], service);
    let took = async |text: &str| {
        let begun = tokio::time::Instant::now();
        let asked = app.request(Method::GET, "/stuck").header("x-envoy-expected-rq-timeout-ms", text);
        app.send(asked.body(Body::empty()).unwrap()).await.expect_problem(503, "The request took too long");
        begun.elapsed().as_millis()
    };
    assert_eq!((took("300").await, took("0").await), (300, 0));
    for other in ["60000", "-1", "soon", "18446744073709551616"] {
        assert_eq!(took(other).await, 20_000, "{other}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_whether_announced_or_not() {
    let app = TestApp::start_with(&[("MAX_BODY_BYTES", "10")], service);
    app.post("/echo", "0123456789").await.expect(200);
    let announced = app.request(Method::POST, "/echo").header("content-length", "11").body(Body::empty()).unwrap();
    app.send(announced).await.expect_problem(413, "Payload too large");
    app.post("/echo", "0123456789+").await.expect_problem(413, "Payload too large");
}

#[tokio::test]
async fn extractors_say_what_is_wrong_and_where() {
    let app = TestApp::start(service);
    let put = async |path: &str, body: &'static str| {
        app.send(app.request(Method::PUT, path).body(Body::from(body)).unwrap()).await
    };
    put("/orders/1", r#"{"quantity": 2, "unknown": true}"#).await.expect(200);
    for (path, body, loc) in [
        ("/orders/1", "{", vec!["body"]),
        ("/orders/1", r#"{"quantity":"#, vec!["body"]),
        ("/orders/1", "null", vec!["body"]),
        ("/orders/1", " [2]", vec!["body"]),
        ("/orders/1", r#"{"quantity": "secret-text"}"#, vec!["body", "quantity"]),
        ("/orders/1", r#"{"quantity": null}"#, vec!["body", "quantity"]),
        ("/orders/1", "{}", vec!["body", "quantity"]),
        ("/orders/one", r#"{"quantity": 1}"#, vec!["path"]),
    ] {
        let problem = put(path, body).await.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"], serde_json::json!(loc), "{body}");
        assert!(!problem.to_string().contains("secret-text"), "{problem}");
    }
}

#[tokio::test]
async fn a_client_over_its_limit_gets_429_and_health_does_not_count() {
    let app = TestApp::start_with(&[("RATE_LIMIT", "2")], service).from_peer("203.0.113.7");
    for _ in 0..10 {
        app.get("/health").await.expect(200);
    }
    app.get("/").await.expect(200);
    app.get("/").await.expect(200);
    let answer = app.get("/").await;
    assert_eq!(answer.header("retry-after"), "30");
    assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=2;w=60");
    assert_eq!(answer.header("ratelimit"), "\"default\";r=0;t=30");
    assert_eq!(answer.expect_problem(429, "Rate limit exceeded")["retry_after"], 30);
    app.get("/health").await.expect(200);
    app.clock.advance(Duration::from_secs(30));
    app.get("/").await.expect(200);
}

#[tokio::test]
async fn loopback_is_spared_only_while_no_limit_was_set() {
    let app = TestApp::start(service);
    for _ in 0..150 {
        app.get("/").await.expect(200);
    }
    let app = TestApp::start_with(&[("RATE_LIMIT", "1")], service);
    app.get("/").await.expect(200);
    app.get("/").await.expect_problem(429, "Rate limit exceeded");
    let app = TestApp::start_with(&[("RATE_LIMIT", "0")], service).from_peer("203.0.113.7");
    for _ in 0..150 {
        app.get("/").await.expect(200);
    }
}

#[tokio::test]
async fn cors_is_for_the_named_origins_alone() {
    let app = TestApp::start_with(&[("CORS_ORIGINS", "https://app.example.com")], service);
    let ask = async |method: Method, origin: &str| {
        let request = app
            .request(method, "/orders/1")
            .header("origin", origin)
            .header("access-control-request-method", "PUT")
            .body(Body::empty())
            .unwrap();
        app.send(request).await
    };
    let preflight = ask(Method::OPTIONS, "https://app.example.com").await.expect(204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.example.com");
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    let simple = ask(Method::GET, "https://app.example.com").await.expect(200);
    assert_eq!(simple.header("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(simple.header("vary"), "origin");
    let foreign = ask(Method::GET, "https://evil.example").await.expect(200);
    assert_eq!(foreign.header("access-control-allow-origin"), "");
    ask(Method::PUT, "https://evil.example").await.expect_problem(403, "Origin not allowed: name it in CORS_ORIGINS");
}

#[tokio::test]
async fn a_foreign_host_is_refused_in_development_and_not_in_production() {
    let foreign = || http::Request::get("/health").header("host", "evil.example").body(Body::empty()).unwrap();
    let app = TestApp::start(service);
    app.send(foreign()).await.expect(403);
    let app = TestApp::start_with(&[("PRODUCTION", "true")], service);
    app.send(foreign()).await.expect(200);
}

#[tokio::test]
async fn one_line_for_each_request_with_its_route_and_never_the_query() {
    let app = TestApp::start(service);
    app.get("/orders/7?token=hidden").await.expect(200);
    app.get("/nowhere/%0A%22").await.expect(404);
    let log = app.access_log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert_eq!(lines[0]["route"], "/orders/{id}");
    assert_eq!(lines[0]["status"], 200);
    assert_eq!(lines[0]["client"], "127.0.0.1");
    assert_eq!(lines[0]["service"], "test-service");
    assert_eq!(lines[1]["route"], "unmatched");
    assert!(!log.contains("hidden"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn under_overload_requests_are_refused_at_once_and_health_is_served() {
    let app = TestApp::start_with(&[("MAX_REQUESTS", "1"), ("REQUEST_TIMEOUT", "10s")], service);
    let begun = tokio::time::Instant::now();
    let stuck = async { (app.get("/stuck").await, begun.elapsed()) };
    let waiting = async { (app.get("/orders/1").await, begun.elapsed()) };
    let others = async {
        tokio::task::yield_now().await;
        for _ in 0..100 {
            let refused = app.get("/orders/1").await;
            assert_eq!(refused.header("retry-after"), "1");
            refused.expect_problem(503, "Too many requests at once, try again later");
        }
        for path in ["/health", "/health/live", "/health/ready", "/ready", "/metrics"] {
            assert_eq!(app.get(path).await.status, 200, "{path}");
        }
        begun.elapsed()
    };
    let (stuck, waiting, others) = tokio::join!(stuck, waiting, others);
    assert_eq!(others, Duration::ZERO, "a refusal waits for nothing");
    waiting.0.expect_problem(503, "Too many requests at once, try again later");
    assert!((1..2).contains(&waiting.1.as_secs()), "{:?}", waiting.1);
    stuck.0.expect_problem(503, "The request took too long");
    assert_eq!(app.get("/orders/1").await.status, 200, "the place is free again");
    let metrics = app.get("/metrics").await;
    let counted = "http_server_rejected_requests_total{reason=\"overload\",service=\"test-service\"} 101";
    assert!(metrics.text().contains(counted), "{}", metrics.text());
    assert!(!app.access_log().contains("request failed: Too many"), "each refusal would be a line more");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_a_408_and_takes_no_place() {
    let app = TestApp::start_with(&[("MAX_REQUESTS", "1"), ("REQUEST_TIMEOUT", "5s")], service);
    let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let (slow, quick) = tokio::join!(app.post("/echo", never), app.get("/orders/1"));
    assert_eq!(quick.status, 200);
    slow.expect_problem(408, "The request body took too long");
}

#[tokio::test]
async fn a_body_of_nothing_but_empty_frames_is_refused() {
    let app = TestApp::start(service);
    let frames = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Vec::new()));
    app.post("/echo", Body::from_stream(frames))
        .await
        .expect_problem(400, "The request body has too many empty frames");
}
