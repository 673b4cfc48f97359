//! What analytics is told, by a real server in its place.

use std::collections::HashSet;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use chassis::testing::{TestApp, TestServer, eventually};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use users::MemoryUsers;

use crate::kit::{PASSWORD, create, delete, log_in, member, register, service_of, text};

/// Takes events, or answers what it is told to.
#[derive(Debug, Clone, Default)]
struct Analytics {
    taken: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    /// A status that it answers instead; 0 takes the event.
    failure: Arc<AtomicU16>,
    /// It takes connections, and answers nothing.
    hangs: Arc<AtomicBool>,
    /// The one token that it does not take.
    refused: Arc<Mutex<Option<HeaderValue>>>,
}

async fn take(
    State(analytics): State<Analytics>,
    headers: HeaderMap,
    Json(event): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if analytics.hangs.load(Ordering::Relaxed) {
        pending::<()>().await;
    }
    let failure = analytics.failure.load(Ordering::Relaxed);
    if let Ok(failure) = StatusCode::from_u16(failure) {
        return (failure, Json(json!({ "success": false })));
    }
    if *analytics.refused.lock().unwrap() == Some(headers["authorization"].clone()) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "success": false })));
    }
    analytics.taken.lock().unwrap().push((headers, event));
    (StatusCode::OK, Json(json!({ "success": true })))
}

impl Analytics {
    async fn serve(&self) -> TestServer {
        let routes = Router::new().route("/api/v1/analytics/events", post(take)).route("/health", get(async || "{}"));
        TestServer::start(routes.with_state(self.clone())).await
    }

    fn types(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(_, event)| text(&event["event_type"])).collect()
    }

    /// Each of so many users registered and logged in.
    async fn until_told_of(&self, users: usize) {
        let count = |wanted: &str| self.types().iter().filter(|event_type| *event_type == wanted).count();
        let all = || count("user_registration") == users && count("user_login") == users;
        eventually("analytics is told of all", async || all().then_some(())).await;
    }

    async fn until_told(&self, types: &[&str]) {
        let what = format!("analytics is told {types:?}");
        eventually(&what, async || (self.types() == types).then_some(())).await;
    }
}

fn app(url: &str) -> TestApp {
    let store = MemoryUsers::new();
    TestApp::start(|context| service_of(store.clone(), store.outbox(), Some(url.parse().unwrap()), context))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn analytics_is_told_of_registrations_logins_and_deletions_alone() {
    let analytics = Analytics::default();
    let server = analytics.serve().await;
    let app = app(&server.url());
    let (id, _) = member(&app, "johnny").await;
    analytics.until_told(&["user_registration", "user_login"]).await;
    register(&app, "johnny", PASSWORD).await.expect(400);
    log_in(&app, "johnny", "a wrong password").await.expect(401);
    create(&app, "Jane", "jane@example.com").await.expect(201);
    delete(&app, &format!("/api/v1/users/{id}")).await.expect(204);
    delete(&app, &format!("/api/v1/users/{id}")).await.expect(404);
    analytics.until_told(&["user_registration", "user_login", "user_deleted"]).await;

    let taken = analytics.taken.lock().unwrap();
    for (headers, event) in &*taken {
        assert_eq!(event["user_id"], id);
        assert!(!text(&event["event_name"]).is_empty());
        assert!(text(&event["properties"]["occurred_at"]).ends_with('Z'), "{event}");
        assert!(headers.contains_key("x-correlation-id") && headers.contains_key("traceparent"), "{headers:?}");
        assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer "));
        assert!(!event.to_string().contains("johnny"), "an event needs no name: {event}");
    }
    let keys: HashSet<_> = taken.iter().map(|(headers, _)| headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_an_analytics_that_hangs_and_it_is_told_when_it_answers_again() {
    let analytics = Analytics::default();
    let server = analytics.serve().await;
    let app = app(&server.url());
    analytics.hangs.store(true, Ordering::Relaxed);
    for number in 0..3 {
        let name = format!("john{number}");
        for answer in [register(&app, &name, PASSWORD).await, log_in(&app, &name, PASSWORD).await] {
            let took: f64 = answer.expect(200).header("x-process-time").parse().unwrap();
            assert!(took < 1.9, "it waited for analytics, which a call gives 2 s: {took}");
        }
    }
    assert!(analytics.types().is_empty());
    analytics.hangs.store(false, Ordering::Relaxed);
    analytics.until_told_of(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_say_that_it_took_an_event_is_asked_again() {
    let analytics = Analytics::default();
    let server = analytics.serve().await;
    let app = app(&server.url());
    for status in [200, 204, 302, 404, 405, 503] {
        analytics.failure.store(status, Ordering::Relaxed);
        register(&app, &format!("john{status}"), PASSWORD).await.expect(200);
    }
    let outbox = app.operate(http::Method::GET, "/ops/v1/outbox", "").await.expect(200).json();
    assert_eq!((&outbox["events"], &outbox["refused"]), (&json!(6), &json!([])));
    assert!(text(&outbox["trouble"]).contains("analytics-service: it answered "), "{outbox}");
    analytics.failure.store(0, Ordering::Relaxed);
    eventually("all arrive", async || (analytics.types().len() == 6).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_analytics_does_not_take_any_more_is_not_shown_again() {
    let analytics = Analytics::default();
    let server = analytics.serve().await;
    let app = app(&server.url());
    let shown = || analytics.taken.lock().unwrap().last().map(|(headers, _)| headers["authorization"].clone());
    register(&app, "johnny", PASSWORD).await.expect(200);
    analytics.until_told(&["user_registration"]).await;
    let first = shown();
    log_in(&app, "johnny", PASSWORD).await.expect(200);
    analytics.until_told(&["user_registration", "user_login"]).await;
    assert_eq!(shown(), first, "one token serves several calls");
    // As after a rotation of the key without the previous one.
    analytics.refused.lock().unwrap().clone_from(&first);
    log_in(&app, "johnny", PASSWORD).await.expect(200);
    analytics.until_told(&["user_registration", "user_login", "user_login"]).await;
    assert_ne!(shown(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn analytics_is_a_dependency_that_may_be_down() {
    let server = Analytics::default().serve().await;
    let app = app(&server.url());
    let ready = app.get("/health/ready").await.expect(200).json();
    assert_eq!(
        (&ready["status"], &ready["dependencies"]["analytics-service"]["status"]),
        (&json!("ready"), &json!("up"))
    );
    drop(server);
    let degraded = eventually("it is seen to be down", async || {
        let ready = app.get("/health/ready").await.expect(200).json();
        (ready["status"] == "degraded").then_some(ready)
    });
    assert_eq!(degraded.await["dependencies"]["analytics-service"]["status"], "down");
}
