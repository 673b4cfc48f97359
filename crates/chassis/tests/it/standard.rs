//! The routes that every service has.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use chassis::client::{CallLimits, ServiceClient, ServiceUrls};
use chassis::health::{Check, Need};
use chassis::service::{Context, Identity, Service};
use chassis::testing::{TestApp, TestServer, check_exposition};
use http::Method;
use serde_json::{Value, json};

const IDENTITY: Identity = Identity { name: "test-service", short_name: "test", about: "A service under test." };

fn service(context: &Context) -> Service {
    Service::new(IDENTITY, context).check(Check::new("store", Need::Required, || async { Ok(()) }))
}

const NOW: &str = "2025-06-09T10:30:45Z";

#[tokio::test]
async fn the_welcome_says_who_this_is() {
    let services = r#"[{"name":"user-service","endpoint":"localhost","port":8080}]"#;
    let app = TestApp::start_with(&[("CONSUMER_SERVICES", services)], service);
    let expected = json!({
        "message": "Welcome to test-service", "service": "test-service", "version": "1.2.3", "status": "running",
        "timestamp": NOW, "consumer_services": 1, "docs": "/docs", "health": "/health",
    });
    assert_eq!(app.get("/").await.expect(200).json(), expected);
}

#[tokio::test]
async fn health_is_about_the_process_alone() {
    let down = |context: &Context| {
        Service::new(IDENTITY, context).check(Check::new("store", Need::Required, || async { Err("down".into()) }))
    };
    let app = TestApp::start(down);
    let healthy = json!({"status": "healthy", "service": "test-service", "version": "1.2.3", "timestamp": NOW});
    assert_eq!(app.get("/health").await.expect(200).json(), healthy);
    let alive = json!({"status": "alive", "service": "test-service", "version": "1.2.3", "timestamp": NOW});
    assert_eq!(app.get("/health/live").await.expect(200).json(), alive);
    for path in ["/ready", "/health/ready"] {
        let answer = app.get(path).await.expect(503);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("retry-after"), "1");
        let body = answer.json();
        assert_eq!(body["status"], "not_ready");
        assert_eq!(body["dependencies"]["store"]["status"], "down");
    }
}

#[tokio::test]
async fn readiness_names_each_dependency_and_ends_with_the_drain() {
    let app = TestApp::start(service);
    let body = app.get("/ready").await.expect(200).json();
    assert_eq!(body["status"], "ready");
    assert_eq!(body["service"], "test-service");
    assert_eq!(body["dependencies"]["store"]["status"], "up");
    assert!(body["dependencies"]["store"]["latency_ms"].is_number());
    app.lifecycle.shut_down();
    assert_eq!(app.get("/health/ready").await.expect(503).json()["status"], "not_ready");
    assert_eq!(app.get("/status").await.expect(200).json()["status"], "draining");
    app.get("/health").await.expect(200);
}

#[tokio::test]
async fn status_counts_requests_by_status_and_endpoint() {
    let app = TestApp::start(service);
    app.get("/health").await.expect(200);
    app.get("/health").await.expect(200);
    app.get("/nowhere").await.expect(404);
    let status = app.get("/status").await.expect(200).json();
    assert_eq!(status["metrics"]["requests_total"], 3);
    assert_eq!(status["metrics"]["requests_by_status"], json!({"200": 2, "404": 1}));
    assert_eq!(status["metrics"]["requests_by_endpoint"], json!({"GET /health": 2, "GET unmatched": 1}));
    assert_eq!(status["metrics"]["service_calls_total"], 0);
    assert!(status["uptime_seconds"].is_number() && status["uptime_human"].is_string());
    assert_eq!(status["timestamp"], NOW);
}

#[tokio::test]
async fn status_counts_the_calls_of_each_other_service() {
    let mut metrics = None;
    let app = TestApp::start(|context| {
        let service = service(context);
        metrics = Some(service.metrics().clone());
        service
    });
    let users = TestServer::start(Router::new().route("/health", get(|| async { "{}" }))).await;
    for (name, url, calls) in [("user-service", users.url(), 2), ("analytics-service", "http://127.0.0.1:1".into(), 1)]
    {
        let url: ServiceUrls = url.parse().unwrap();
        let client = ServiceClient::new(name, url, CallLimits::default(), metrics.as_ref().unwrap()).unwrap();
        for _ in 0..calls {
            let _answered_or_not = client.get(&["health"]).send().await;
        }
    }
    let status = app.get("/status").await.expect(200).json();
    assert_eq!(status["metrics"]["service_calls_total"], 3);
    let by_service = json!({"analytics-service": 1, "user-service": 2});
    assert_eq!(status["metrics"]["service_calls_by_service"], by_service);
}

#[tokio::test]
async fn metrics_are_valid_for_promtool() {
    let app = TestApp::start(service);
    app.get("/ready").await.expect(200);
    app.get("/nowhere").await.expect(404);
    let answer = app.get("/metrics").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let page = answer.text();
    for line in [
        "dependency_up{dependency=\"store\",service=\"test-service\"} 1",
        "service_ready{service=\"test-service\"} 1",
        "http_server_active_requests{service=\"test-service\"} 1",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    check_exposition(&page);
}

#[tokio::test]
async fn metrics_can_be_switched_off() {
    let app = TestApp::start_with(&[("ENABLE_METRICS", "false")], service);
    app.get("/metrics").await.expect_problem(404, "Not Found");
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_the_page_needs_no_internet() {
    let app = TestApp::start(service);
    let document = app.get("/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "test-service");
    for path in ["/", "/health", "/health/live", "/health/ready", "/ready", "/metrics", "/services", "/status"] {
        assert!(document["paths"][path]["get"]["operationId"].is_string(), "{path} is not documented");
    }
    let answers = |path: &str| document["paths"][path]["get"]["responses"].clone();
    assert_eq!(answers("/")["503"]["$ref"], "#/components/responses/Unavailable");
    assert!(document["components"]["responses"]["Unavailable"]["headers"]["Retry-After"].is_object());
    assert!(answers("/")["429"].is_object());
    assert_eq!(answers("/health")["429"], Value::Null, "what is never counted does not say so");
    assert!(answers("/ready")["503"]["description"].is_string(), "a route's own words stay");
    assert_eq!(answers("/ops/v1/log-level")["401"]["content"].as_object().unwrap().len(), 1);
    assert_eq!(app.get("/docs").await.status.as_u16() / 100, 3);
    for asset in ["", "swagger-ui-bundle.js", "swagger-ui.css", "swagger-ui-standalone-preset.js"] {
        let answer = app.get(&format!("/docs/{asset}")).await.expect(200);
        assert_eq!(answer.header("content-encoding"), "gzip", "{asset}");
    }
    let page = app.get("/docs/swagger-initializer.js").await.expect(200).text();
    assert!(page.contains("/openapi.json") && !page.contains("https://"), "{page}");
    let app = TestApp::start_with(&[("DOCS", "false")], service);
    app.get("/openapi.json").await.expect_problem(404, "Not Found");
}

#[tokio::test]
async fn production_serves_metrics_status_services_and_ops_on_the_internal_listener_alone() {
    let app = TestApp::start_with(&[("PRODUCTION", "true")], service);
    let get = |path: &str| app.request(Method::GET, path).body(Body::empty()).unwrap();
    for path in ["/metrics", "/status", "/services", "/ops/v1/log-level"] {
        app.get(path).await.expect_problem(404, "Not Found");
    }
    for path in ["/metrics", "/status", "/services", "/health", "/ready"] {
        app.send_internal(get(path)).await.expect(200);
    }
    app.send_internal(get("/ops/v1/log-level")).await.expect_problem(401, "Access token is missing");
}

#[tokio::test]
async fn the_operator_changes_the_log_level_and_nobody_else_does() {
    let app = TestApp::start(service);
    let answer = app.get("/ops/v1/log-level").await;
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    answer.expect_problem(401, "Access token is missing");
    let wrong = app.request(Method::GET, "/ops/v1/log-level").header("authorization", "Bearer wrong");
    app.send(wrong.body(Body::empty()).unwrap()).await.expect_problem(401, "Invalid or expired token");

    let level = app.operate(Method::GET, "/ops/v1/log-level", "").await.expect(200).json();
    assert_eq!(level, json!({"level": "INFO"}));
    app.operate(Method::PUT, "/ops/v1/log-level", r#"{"level":"ERROR"}"#).await.expect(200);
    let before = app.access_log().len();
    app.get("/health").await.expect(200);
    assert_eq!(app.access_log().len(), before, "access lines are INFO");
    app.operate(Method::PUT, "/ops/v1/log-level", r#"{"level":"LOUD"}"#).await.expect_problem(422, "Validation failed");
    let dependencies = app.operate(Method::GET, "/ops/v1/dependencies", "").await.expect(200).json();
    assert_eq!(dependencies["dependencies"]["store"]["status"], "up");
}

#[tokio::test]
async fn that_services_look_who_is_alive_is_logged_for_those_who_want_to_know() {
    let app = TestApp::start(service);
    let probe = async |path: &str| {
        let request = app.request(Method::GET, path).header("user-agent", "keelson-probe");
        let _answer = app.send(request.body(Body::empty()).unwrap()).await;
        app.access_log().lines().count()
    };
    assert_eq!(probe("/health").await, 0);
    assert_eq!(probe("/health/ready").await, 1, "whoever asks for more is shown");
    app.operate(Method::PUT, "/ops/v1/log-level", r#"{"level":"DEBUG"}"#).await.expect(200);
    let before = app.access_log().lines().count();
    assert_eq!(probe("/health").await, before + 1);
}
