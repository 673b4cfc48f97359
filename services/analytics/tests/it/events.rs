//! Events on their way in.

use std::sync::Arc;

use analytics::model::{EventFilter, NewEvent};
use analytics::store::{EventCounts, EventStore, Recorded, StoreError};
use async_trait::async_trait;
use chassis::testing::TestApp;
use http::Method;
use serde_json::json;

use crate::kit::{PRODUCTION, app, page_view, post, post_keyed, service, service_on, stats};

const EVENTS: &str = "/api/v1/analytics/events";

#[tokio::test]
async fn an_event_is_answered_in_an_envelope_with_its_id_and_type() {
    let app = app();
    let event = json!({ "event_type": "page_view", "event_name": "Start page", "user_id": "42", "properties": { "path": "/" } });
    let answer = post(&app, event).await.expect(200).json();
    assert_eq!((&answer["success"], &answer["message"]), (&json!(true), &json!("Event created successfully")));
    assert_eq!(answer["data"]["event_type"], "page_view");
    let id = answer["data"]["event_id"].as_str().unwrap();
    assert_eq!((id.len(), &id[14..15]), (36, "7"), "a UUIDv7: {id}");
}

#[tokio::test]
async fn what_breaks_a_rule_is_422_with_its_place_and_is_not_counted() {
    let app = app();
    for (event, place) in [
        (json!({ "event_type": "party", "event_name": "x" }), "event_type"),
        (json!({ "event_type": "custom", "event_name": "" }), "event_name"),
        (json!({ "event_type": "custom", "event_name": "é".repeat(101) }), "event_name"),
        (json!({ "event_type": "custom" }), "event_name"),
        (json!({ "event_type": 1, "event_name": "x" }), "event_type"),
        (json!({ "event_type": "custom", "event_name": null }), "event_name"),
        (json!({ "event_type": "custom", "event_name": "x", "user_id": 42 }), "user_id"),
        (json!({ "event_type": "custom", "event_name": "x", "user_id": "" }), "user_id"),
        (json!({ "event_type": "custom", "event_name": "x", "properties": [] }), "properties"),
        (json!({ "event_type": "custom", "event_name": "x", "properties": "{}" }), "properties"),
    ] {
        let problem = post(&app, event.clone()).await.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"], json!(["body", place]), "{event}: {problem}");
    }
    app.post(EVENTS, "{").await.expect_problem(422, "Validation failed");
    app.post(EVENTS, "[]").await.expect_problem(422, "Validation failed");
    assert_eq!(stats(&app, "").await["total_events"], 0);
}

#[tokio::test]
async fn every_type_of_the_contract_is_taken() {
    let app = app();
    let types = "user_action, page_view, api_call, user_registration, user_login, user_deleted, order_created, \
                 order_updated, order_status_changed, order_deleted, custom";
    for event_type in types.split(", ") {
        post(&app, json!({ "event_type": event_type, "event_name": "x" })).await.expect(200);
    }
    assert_eq!(stats(&app, "").await["events_by_type"].as_object().unwrap().len(), 11);
}

#[tokio::test]
async fn an_event_that_is_sent_again_with_its_key_is_answered_as_before_and_counted_once() {
    let app = app();
    let first = post_keyed(&app, "k", page_view()).await.expect(200);
    let again = post_keyed(&app, "k", page_view()).await.expect(200);
    assert_eq!(first.json(), again.json());
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    let other = json!({ "event_type": "page_view", "event_name": "Another page" });
    let text = "Idempotency-Key was used before with another body";
    post_keyed(&app, "k", other).await.expect_problem(422, text);
    assert_ne!(post_keyed(&app, "l", page_view()).await.expect(200).json(), first.json());
    assert_eq!(stats(&app, "").await["total_events"], 2);
    let metrics = app.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("analytics_repeated_events_total{service=\"analytics-service\"} 1"), "{metrics}");
    assert!(metrics.contains("analytics_events_total{event_type=\"page_view\",service=\"analytics-service\"} 2"));
}

#[tokio::test]
async fn production_asks_for_the_scopes_of_events_and_of_statistics() {
    let app = TestApp::start_with(PRODUCTION, service);
    let ask = async |token: &str, method: Method, path: &str| {
        app.ask_as(token, method, path, page_view().to_string()).await.status.as_u16()
    };
    let (read, write) = (app.token("somebody", &["analytics:read"]), app.token("somebody", &["analytics:write"]));
    app.post(EVENTS, page_view().to_string()).await.expect_problem(401, "Access token is missing");
    assert_eq!(ask("nonsense", Method::POST, EVENTS).await, 401);
    assert_eq!(ask(&read, Method::POST, EVENTS).await, 403);
    assert_eq!(ask(&write, Method::POST, EVENTS).await, 200);
    assert_eq!(ask(&write, Method::GET, "/api/v1/analytics/stats").await, 403);
    assert_eq!(ask(&read, Method::GET, "/api/v1/analytics/stats").await, 200);
}

/// Cannot be reached.
#[derive(Debug)]
struct Gone;

fn gone<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("connection to db.internal refused".into()))
}

#[async_trait]
impl EventStore for Gone {
    async fn record(&self, _: NewEvent) -> Result<Recorded, StoreError> {
        gone()
    }
    async fn count(&self, _: &EventFilter) -> Result<EventCounts, StoreError> {
        gone()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        gone()
    }
}

#[tokio::test]
async fn every_route_is_503_without_its_cause_while_the_store_is_gone() {
    let app = TestApp::start(|context| service_on(Arc::new(Gone), None, context));
    for answer in [post(&app, page_view()).await, app.get("/api/v1/analytics/stats").await] {
        assert!(!answer.header("retry-after").is_empty());
        let problem = answer.expect_problem(503, "Event store unavailable");
        assert!(!problem.to_string().contains("db.internal"));
    }
    let ready = app.get("/health/ready").await.expect(503).json();
    assert_eq!(ready["dependencies"]["store"]["status"], "down");
}
