//! What analytics is told, by a real server in its place.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use chassis::testing::{TestApp, TestServer, eventually};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use users::MemoryUsers;

use crate::kit::{PASSWORD, create, delete, log_in, member, register, service_of, text};

/// Takes events, or answers what it is told to.
#[derive(Debug, Clone, Default)]
struct Analytics {
    taken: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    /// A status that it answers instead; 0 takes the event.
    failure: Arc<AtomicU16>,
}

async fn take(State(analytics): State<Analytics>, headers: HeaderMap, Json(event): Json<Value>) -> StatusCode {
    match StatusCode::from_u16(analytics.failure.load(Ordering::Relaxed)) {
        Ok(failure) => failure,
        Err(_) => {
            analytics.taken.lock().unwrap().push((headers, event));
            StatusCode::OK
        }
    }
}

impl Analytics {
    async fn serve(&self) -> TestServer {
        let routes = Router::new().route("/api/v1/analytics/events", post(take)).route("/health", get(async || "{}"));
        TestServer::start(routes.with_state(self.clone())).await
    }

    fn types(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|(_, event)| text(&event["event_type"])).collect()
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
        assert!(!event.to_string().contains("johnny"), "an event needs no name: {event}");
    }
    let mut keys: Vec<_> = taken.iter().map(|(headers, _)| headers["idempotency-key"].clone()).collect();
    keys.dedup();
    assert_eq!(keys.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_analytics_is_down_people_register_and_it_is_told_when_it_is_back() {
    let analytics = Analytics::default();
    let server = analytics.serve().await;
    let app = app(&server.url());
    analytics.failure.store(503, Ordering::Relaxed);
    let begun = Instant::now();
    for number in 0..5 {
        register(&app, &format!("john{number}"), PASSWORD).await.expect(200);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "registrations waited for analytics: {:?}", begun.elapsed());
    assert!(analytics.types().is_empty());
    analytics.failure.store(0, Ordering::Relaxed);
    analytics.until_told(&["user_registration"; 5]).await;
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
