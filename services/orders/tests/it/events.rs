//! What analytics is told, by a real server in its place.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use chassis::testing::{TestApp, TestServer, eventually};
use http::{HeaderMap, Method, StatusCode};
use orders::MemoryOrders;
use serde_json::{Value, json};

use crate::kit::{ORDERS, Users, laptop, path, service_of, text};

/// Takes events, or answers what it is told to.
#[derive(Debug, Clone, Default)]
struct Analytics {
    taken: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    /// A status that it answers instead; 0 takes the event.
    failure: Arc<AtomicU16>,
}

async fn take(
    State(analytics): State<Analytics>,
    headers: HeaderMap,
    Json(event): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let failure = analytics.failure.load(Ordering::Relaxed);
    if let Ok(failure) = StatusCode::from_u16(failure) {
        return (failure, Json(json!({ "success": false })));
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

    async fn until_told(&self, types: &[&str]) {
        let what = format!("analytics is told {types:?}");
        eventually(&what, async || (self.types() == types).then_some(())).await;
    }
}

fn app(users: &TestServer, analytics: &TestServer) -> TestApp {
    let (store, users, analytics) = (MemoryOrders::new(), users.url(), analytics.url().parse().unwrap());
    TestApp::start(|context| service_of(store.clone(), store.outbox(), &users, Some(analytics), context))
}

async fn put(app: &TestApp, order: &Value, body: Value, status: u16) {
    let request = app.request(Method::PUT, &path(order)).body(body.to_string().into()).unwrap();
    app.send(request).await.expect(status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn analytics_is_told_of_each_change_once_and_in_order() {
    let (users, analytics) = (Users::of(&["ann"]).serve().await, Analytics::default());
    let server = analytics.serve().await;
    let app = app(&users, &server);
    app.post(ORDERS, laptop("nobody").to_string()).await.expect(404);
    let order = app.post(ORDERS, laptop("ann").to_string()).await.expect(201).json();
    put(&app, &order, json!({ "shipping_address": "2 Main St" }), 200).await;
    put(&app, &order, json!({ "status": "pending" }), 200).await;
    put(&app, &order, json!({ "status": "shipped" }), 409).await;
    put(&app, &order, json!({ "status": "confirmed", "shipping_address": "3 Main St" }), 200).await;
    let delete = || app.request(Method::DELETE, &path(&order)).body(String::new().into()).unwrap();
    app.send(delete()).await.expect(204);
    app.send(delete()).await.expect(404);
    analytics.until_told(&["order_created", "order_updated", "order_status_changed", "order_deleted"]).await;

    let taken = analytics.taken.lock().unwrap();
    for (headers, event) in &*taken {
        assert_eq!((&event["user_id"], &event["properties"]["order_id"]), (&json!("ann"), &order["id"]));
        assert!(!text(&event["event_name"]).is_empty());
        assert!(text(&event["properties"]["occurred_at"]).ends_with('Z'), "{event}");
        assert!(headers.contains_key("x-correlation-id") && headers.contains_key("traceparent"), "{headers:?}");
        for personal in ["Main St", "Laptop", "999.99"] {
            assert!(!event.to_string().contains(personal), "{event}");
        }
    }
    let properties = |place: usize, name: &str| taken[place].1["properties"][name].clone();
    assert_eq!((properties(1, "status"), properties(1, "address_changed")), (json!("pending"), json!(true)));
    assert_eq!((properties(2, "from"), properties(2, "status")), (json!("pending"), json!("confirmed")));
    assert_eq!((properties(2, "address_changed"), properties(3, "status")), (json!(true), json!("confirmed")));
    let keys: std::collections::HashSet<_> = taken.iter().map(|(headers, _)| &headers["idempotency-key"]).collect();
    assert_eq!(keys.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_analytics_is_down_people_order_and_it_is_told_when_it_is_back() {
    let (users, analytics) = (Users::of(&["ann"]).serve().await, Analytics::default());
    let server = analytics.serve().await;
    let app = app(&users, &server);
    analytics.failure.store(503, Ordering::Relaxed);
    for _ in 0..5 {
        app.post(ORDERS, laptop("ann").to_string()).await.expect(201);
    }
    assert!(analytics.types().is_empty());
    analytics.failure.store(0, Ordering::Relaxed);
    analytics.until_told(&["order_created"; 5]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_that_are_called_may_be_down() {
    let (users, server) = (Users::default().serve().await, Analytics::default().serve().await);
    let app = app(&users, &server);
    let ready = app.get("/health/ready").await.expect(200).json();
    let status = |name: &str| &ready["dependencies"][name]["status"];
    assert_eq!((status("analytics-service"), status("user-service")), (&json!("up"), &json!("up")));
    drop((users, server));
    let degraded = eventually("both are seen to be down", async || {
        let ready = app.get("/health/ready").await.expect(200).json();
        let is_down = |name: &str| ready["dependencies"][name]["status"] == "down";
        (is_down("analytics-service") && is_down("user-service")).then_some(ready["status"].clone())
    });
    assert_eq!(degraded.await, "degraded");
}
