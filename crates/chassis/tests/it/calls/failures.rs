//! Services that are not there, fail, or take too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::routing::any;
use http::StatusCode;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn answering(status: StatusCode) -> Router {
    Router::new().fallback(move || async move { status })
}

#[tokio::test]
async fn a_service_that_nobody_named_is_not_found() {
    let (app, _server) = beside(echoing()).await;
    for name in ["nobody", "user-servic", "USER-SERVICE", "user-service/", "user-service.", "*", " ", "ü"] {
        let answer = call(&app, name, "GET", "/").await;
        answer.expect_problem(404, &format!("Service {name} not found"));
    }
    let long = call(&app, &"n".repeat(1000), "GET", "/").await.expect(404).json();
    assert!(long["detail"].as_str().unwrap().len() < 130, "{long}");
    app.post("/call/", "").await.expect_problem(404, "Not Found");
    assert_eq!(app.get("/call/user-service").await.expect(405).header("allow"), "POST");
}

#[tokio::test]
async fn a_service_does_not_call_itself() {
    let server = TestServer::start(echoing()).await;
    let app = app_with(&[entry("test-service", &server.url(), PATIENT)]);
    call(&app, "test-service", "GET", "/").await.expect_problem(404, "Service test-service not found");
}

#[tokio::test]
async fn a_service_that_takes_too_long_is_504() {
    let routes = Router::new().fallback(async || std::future::pending::<()>().await);
    let server = TestServer::start(routes).await;
    let app = app_with(&[entry("user-service", &server.url(), 0.2)]);
    for method in ["GET", "POST"] {
        let begun = Instant::now();
        let answer = call(&app, "user-service", method, "/").await;
        answer.expect_problem(504, "Timeout calling user-service");
        assert!((200..5000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    }
    let patient = app_with(&[entry("user-service", &server.url(), PATIENT)]);
    let request = patient.request(Method::POST, "/call/user-service").header("x-envoy-expected-rq-timeout-ms", "200");
    let begun = Instant::now();
    patient.send(request.body(Body::empty()).unwrap()).await.expect_problem(504, "Timeout calling user-service");
    assert!(begun.elapsed().as_secs_f64() < PATIENT / 2.0, "who asked no longer waits: {:?}", begun.elapsed());
}

/// A service that is told how long it has, and says at that moment that it gives up.
#[tokio::test]
async fn a_service_that_gives_up_when_the_time_is_over_has_taken_too_long() {
    let giving_up = async |request: Request| {
        let left: u64 = request.headers()["x-envoy-expected-rq-timeout-ms"].to_str().unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_millis(left.saturating_sub(5))).await;
        StatusCode::SERVICE_UNAVAILABLE
    };
    let (app, _server) = beside(Router::new().fallback(giving_up)).await;
    let request = app.request(Method::POST, "/call/user-service").header("x-envoy-expected-rq-timeout-ms", "300");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    answer.expect_problem(504, "Timeout calling user-service");
}

#[tokio::test]
async fn a_service_that_fails_is_502_with_its_status() {
    for status in [500, 501, 502, 503, 504, 599] {
        let (app, _server) = beside(answering(StatusCode::from_u16(status).unwrap())).await;
        let problem = call(&app, "user-service", "POST", "/").await.expect_problem(502, "Error calling user-service");
        assert_eq!(problem["upstream_status"], status);
    }
}

/// Reads a request, and hangs up.
async fn hanging_up() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut connection, _peer) = listener.accept().await.unwrap();
            let _request = connection.read(&mut [0; 4096]).await;
        }
    });
    (url, serving)
}

#[tokio::test]
async fn a_service_that_hangs_up_or_does_not_end_is_502_without_a_status() {
    let (hanging_up, _serving) = hanging_up().await;
    let endless = TestServer::start(Router::new().fallback(async || vec![b'a'; (1 << 20) + 1])).await;
    for url in [hanging_up, endless.url()] {
        let app = app_with(&[entry("user-service", &url, PATIENT)]);
        let answer = call(&app, "user-service", "POST", "/").await;
        assert!(!answer.text().contains("127.0.0.1"), "no address is shown: {}", answer.text());
        let problem = answer.expect_problem(502, "Error calling user-service");
        assert_eq!(problem["upstream_status"], Value::Null);
    }
    let whole = TestServer::start(Router::new().fallback(async || vec![b'a'; 1 << 20])).await;
    let app = app_with(&[entry("user-service", &whole.url(), PATIENT)]);
    let called = call(&app, "user-service", "GET", "/").await.expect(200).json();
    assert_eq!(called["result"].as_str().unwrap().len(), 1 << 20);
}

#[tokio::test]
async fn a_service_where_nobody_listens_is_503() {
    let app = app_with(&[entry("user-service", &nobody().await, PATIENT)]);
    for method in ["POST", "GET"] {
        let answer = call(&app, "user-service", method, "/").await;
        assert!(!answer.header("retry-after").is_empty());
        answer.expect_problem(503, "user-service unavailable");
    }
}

#[tokio::test]
async fn a_service_that_failed_too_often_is_503_and_is_not_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let failing = any(async move || {
        counted.fetch_add(1, Ordering::Relaxed);
        StatusCode::INTERNAL_SERVER_ERROR
    });
    let (app, _server) = beside(Router::new().fallback(failing)).await;
    let mut refused = 0;
    for calls in 1.. {
        assert!(calls <= 200, "its circuit never opened");
        let before = asked.load(Ordering::Relaxed);
        let answer = call(&app, "user-service", "POST", "/").await;
        if answer.status == 502 {
            continue;
        }
        assert!(!answer.header("retry-after").is_empty());
        answer.expect_problem(503, "user-service unavailable");
        assert_eq!(asked.load(Ordering::Relaxed), before, "it was asked");
        refused += 1;
        if refused == 3 {
            break;
        }
    }
}
