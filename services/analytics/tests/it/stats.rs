//! Statistics of events, and of users as users tells them.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use analytics::{MemoryEvents, Parts};
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chassis::auth::{Parties, ServiceTokens, TokenIssuer};
use chassis::testing::{TestApp, TestServer, eventually, token_keys};
use serde_json::{Value, json};

use crate::kit::{app, post, service_on, stats};

async fn some_events(app: &TestApp) {
    for (event_type, user_id) in [("user_login", "ann"), ("user_login", "bob"), ("page_view", "ann")] {
        let event = json!({ "event_type": event_type, "event_name": "x", "user_id": user_id });
        post(app, event).await.expect(200);
        app.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn events_are_counted_by_their_types_and_filters() {
    let app = app();
    let begun = chassis::clock::Clock::now(&*app.clock);
    some_events(&app).await;
    let all = app.get("/api/v1/analytics/stats").await.expect(200).json();
    assert_eq!(all["success"], true);
    assert_eq!(all["data"]["total_events"], 3);
    assert_eq!(all["data"]["events_by_type"], json!({ "page_view": 1, "user_login": 2 }));
    let total = async |query: &str| stats(&app, query).await["total_events"].as_u64().unwrap();
    assert_eq!(total("?event_type=user_login").await, 2);
    assert_eq!(total("?user_id=ann").await, 2);
    assert_eq!(total("?user_id=ann&event_type=user_login").await, 1);
    let at = |seconds: u64| begun + Duration::from_secs(seconds);
    assert_eq!(total(&format!("?from={}", at(60))).await, 2);
    assert_eq!(total(&format!("?to={}", at(60))).await, 1);
    assert_eq!(total(&format!("?from={}&to={}", at(1), at(61))).await, 1);
}

#[tokio::test]
async fn a_filter_that_is_none_is_422_with_its_place() {
    let app = app();
    for (query, place) in [
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("event_type=party", "event_type"),
        ("user_id=%00", "user_id"),
    ] {
        let answer = app.get(&format!("/api/v1/analytics/stats?{query}")).await;
        let problem = answer.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"], json!(["query", place]));
    }
}

fn app_with_users(url: &str) -> TestApp {
    TestApp::start(|context| service_on(MemoryEvents::new(), Some(url), context))
}

async fn users_that_answer(answer: Value) -> TestServer {
    let counts = get(async move || axum::Json(answer));
    TestServer::start(Router::new().route("/api/v1/users/stats/count", counts).route("/health", get(async || "{}")))
        .await
}

#[tokio::test]
async fn users_are_counted_by_users() {
    let counts = json!({ "total_users": 3, "active_users": 2, "inactive_users": 1 });
    let users = users_that_answer(json!({ "success": true, "message": "", "data": counts })).await;
    let shown = stats(&app_with_users(&users.url()), "").await;
    assert_eq!((&shown["user_stats"], &shown["warnings"]), (&counts, &json!([])));
}

/// The service with users at this place, and a key to sign tokens with.
fn app_with_tokens(users: &TestServer) -> TestApp {
    TestApp::start(|context| {
        let parties = Parties { issuer: "keelson".into(), audience: "keelson".into() };
        let (clock, ids) = (context.clock.clone(), context.ids.clone());
        let issuer = TokenIssuer::new(token_keys(), parties, Duration::from_secs(3600), clock, ids);
        let (users, tokens) = (Some(users.url().parse().unwrap()), Some(ServiceTokens::Issued(issuer)));
        let parts = Parts { store: MemoryEvents::new(), users, tokens };
        analytics::service(parts, context).unwrap()
    })
}

#[tokio::test]
async fn users_is_shown_a_token_of_a_service_where_there_is_a_key() {
    let told = get(async |headers: HeaderMap| {
        let parts = headers["authorization"].to_str().unwrap().split('.').collect::<Vec<_>>();
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        let is_service = claims["sub"] == "analytics-service" && claims["scope"] == "service";
        axum::Json(json!({ "data": { "total_users": u8::from(is_service), "active_users": 0, "inactive_users": 0 } }))
    });
    let users = TestServer::start(Router::new().route("/api/v1/users/stats/count", told)).await;
    let app = app_with_tokens(&users);
    assert_eq!(stats(&app, "").await["user_stats"]["total_users"], 1);
}

#[tokio::test]
async fn a_token_that_users_does_not_take_is_not_shown_again() {
    let first: Arc<OnceLock<HeaderValue>> = Arc::default();
    let refused = get(async move |headers: HeaderMap| {
        let shown = headers["authorization"].clone();
        let counts = json!({ "total_users": 1, "active_users": 1, "inactive_users": 0 });
        match *first.get_or_init(|| shown.clone()) == shown {
            true => Err(StatusCode::UNAUTHORIZED),
            false => Ok(axum::Json(json!({ "data": counts }))),
        }
    });
    let users = TestServer::start(Router::new().route("/api/v1/users/stats/count", refused)).await;
    let app = app_with_tokens(&users);
    assert_eq!(stats(&app, "").await["user_stats"], Value::Null);
    assert_eq!(stats(&app, "").await["user_stats"]["total_users"], 1);
}

#[tokio::test]
async fn events_are_counted_while_users_is_down_says_nonsense_or_is_not_known() {
    let gone = TestServer::start(Router::new()).await.url();
    let nonsense = users_that_answer(json!({ "data": { "total_users": "many" } })).await;
    let without = app();
    for app in [app_with_users(&gone), app_with_users(&nonsense.url()), without] {
        some_events(&app).await;
        let begun = Instant::now();
        let shown = stats(&app, "").await;
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!((&shown["total_events"], &shown["user_stats"]), (&json!(3), &Value::Null));
        assert!(shown["warnings"][0].as_str().unwrap().starts_with("user statistics are unavailable"), "{shown}");
    }
}

#[tokio::test]
async fn users_is_a_dependency_that_may_be_down() {
    let users = users_that_answer(json!({})).await;
    let app = app_with_users(&users.url());
    assert_eq!(app.get("/health/ready").await.expect(200).json()["status"], "ready");
    drop(users);
    let ready = eventually("it is seen to be down", async || {
        let ready = app.get("/health/ready").await.expect(200).json();
        (ready["status"] == "degraded").then_some(ready)
    });
    assert_eq!(ready.await["dependencies"]["user-service"]["status"], "down");
}
