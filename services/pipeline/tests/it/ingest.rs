//! Ingest: what is sent, and what is answered when a dependency is down.

use std::time::Duration;

use axum::body::Body;
use chassis::testing::{TestApp, TestResponse, check_exposition};
use http::Method;
use serde_json::json;

use crate::kit::{Stores, TOKEN, message};

fn start() -> (TestApp, Stores) {
    let mut stores = None;
    let app = TestApp::start(|context| stores.insert(Stores::new(context)).ingest(context));
    (app, stores.unwrap())
}

async fn post(app: &TestApp, body: &serde_json::Value) -> TestResponse {
    app.post("/api/message", body.to_string()).await
}

#[tokio::test]
async fn a_message_is_on_the_queue_when_it_is_answered() {
    let (app, stores) = start();
    let answer = post(&app, &message()).await.expect(200).json();
    assert_eq!(answer["message"], "Message sent to queue");
    assert_eq!(answer["status"], "success");
    let queued = stores.receive().await;
    assert_eq!(queued.len(), 1);
    assert_eq!(answer["message_id"], json!(queued[0].id));
    assert_eq!(queued[0].body, message()["data"].to_string());
}

#[tokio::test]
async fn the_attributes_tell_where_a_message_comes_from() {
    let (app, stores) = start();
    let request = app
        .request(Method::POST, "/submit")
        .header("x-correlation-id", "order-42")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body(Body::from(json!({"token": TOKEN, "email_timestream": "20250609T103045Z", "n": 1.0}).to_string()))
        .unwrap();
    let answer = app.send(request).await.expect(200).json();
    assert_eq!(answer["message"], "Payload accepted and queued.");
    let queued = &stores.receive().await[0];
    assert_eq!(queued.body, r#"{"email_timestream":"20250609T103045Z","n":1.0}"#);
    assert_eq!(queued.attributes["correlation_id"], "order-42");
    assert_eq!(queued.attributes["source"], "/submit");
    assert_eq!(queued.attributes["content_type"], "application/json");
    assert_eq!(queued.attributes["email_instant"], "2025-06-09T10:30:45Z");
    assert!(queued.attributes["traceparent"].starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
}

#[tokio::test]
async fn every_error_repeats_its_text_for_old_clients() {
    let (app, _stores) = start();
    let mut wrong = message();
    wrong["token"] = json!("wrong");
    let problem = post(&app, &wrong).await.expect_problem(401, "Invalid token");
    assert_eq!(problem["error"], "Invalid token");
    let problem = app.post("/submit", r#"{"token":"wrong","email_timestream":"1"}"#).await;
    assert_eq!(problem.expect_problem(403, "Invalid token")["error"], "Invalid token");
    let problem = app.get("/nowhere").await.expect_problem(404, "Not Found");
    assert_eq!(problem["error"], "Not Found");
}

#[tokio::test]
async fn a_queue_that_is_down_is_a_503_and_nothing_is_sent() {
    let (app, stores) = start();
    stores.queue.set_unavailable(true);
    let answer = post(&app, &message()).await;
    assert_eq!(answer.header("retry-after"), "5");
    answer.expect_problem(503, "Failed to send message");
    let body = json!({"token": TOKEN, "email_timestream": "1"}).to_string();
    app.post("/submit", body).await.expect_problem(503, "Failed to send message");
    assert_eq!(app.get("/ready").await.expect(503).json()["dependencies"]["queue"]["status"], "down");
    stores.queue.set_unavailable(false);
    assert!(stores.receive().await.is_empty());
    post(&app, &message()).await.expect(200);
}

#[tokio::test]
async fn a_token_source_that_is_down_is_a_503_once_the_cache_has_ended() {
    let (app, stores) = start();
    stores.secrets.set_unavailable(true);
    let answer = post(&app, &message()).await;
    assert_eq!(answer.header("retry-after"), "5");
    answer.expect_problem(503, "Token validation unavailable");
    let ready = app.get("/ready").await.expect(503).json();
    assert_eq!(ready["dependencies"]["api-token"]["status"], "down");
    stores.secrets.set_unavailable(false);
    app.clock.advance(Duration::from_secs(10));
    post(&app, &message()).await.expect(200);
    stores.secrets.set_unavailable(true);
    app.clock.advance(Duration::from_secs(299));
    post(&app, &message()).await.expect(200);
    tokio::time::sleep(Duration::from_millis(1100)).await; // an answer about readiness serves for a second
    assert_eq!(app.get("/ready").await.expect(200).json()["status"], "degraded");
    app.clock.advance(Duration::from_secs(2));
    post(&app, &message()).await.expect_problem(503, "Token validation unavailable");
}

#[tokio::test]
async fn a_message_over_the_queues_limit_is_a_413() {
    let (app, stores) = start();
    let mut large = message();
    large["data"]["email_content"] = json!("x".repeat(1 << 20));
    post(&app, &large).await.expect_problem(413, "Payload too large");
    assert!(stores.receive().await.is_empty());
}

#[tokio::test]
async fn the_welcome_lists_the_endpoints() {
    let (app, _stores) = start();
    let welcome = app.get("/").await.expect(200).json();
    assert_eq!(welcome["service"], "ingest");
    assert_eq!(welcome["endpoints"]["message"], "/api/message");
    assert_eq!(welcome["endpoints"]["submit"], "/submit");
}

#[tokio::test]
async fn metrics_count_what_the_queue_took_and_what_it_did_not() {
    let (app, stores) = start();
    post(&app, &message()).await.expect(200);
    stores.queue.set_unavailable(true);
    post(&app, &message()).await.expect(503);
    let page = app.get("/metrics").await.expect(200).text();
    for line in [
        "messaging_client_sent_messages_total{source=\"/api/message\",service=\"ingest\"} 1",
        "messaging_client_sent_messages_total{source=\"/submit\",service=\"ingest\"} 0",
        "messaging_client_send_failures_total{service=\"ingest\"} 1",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    check_exposition(&page);
}
