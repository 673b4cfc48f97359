//! `GET /services`: which services there are, and how each was when it was last heard of.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use chassis::client::{CallLimits, Callees, ServiceClient, ServiceUrls};
use chassis::service::Context;
use chassis::testing::{TestApp, TestServer, eventually};
use http::Method;
use serde_json::{Value, json};

use crate::calls::{PATIENT, app_with, call, entry, service};

async fn users() -> TestServer {
    TestServer::start(Router::new().fallback(async || "{}")).await
}

/// What is said of the only service.
async fn only(app: &TestApp) -> Value {
    let listed = app.get("/services").await.expect(200).json();
    assert_eq!(listed["count"], 1);
    listed["services"][0].clone()
}

#[tokio::test]
async fn services_are_listed_with_their_first_place() {
    let app = app_with(&[
        entry("user-service", "http://10.0.0.7:8002", 5.0),
        entry("analytics-service", "http://analytics.internal:8001", 30.0),
        entry("user-service", "http://10.0.0.8:8003", 7.0),
    ]);
    let listed = app.get("/services").await.expect(200).json();
    assert_eq!((&listed["count"], &listed["timestamp"]), (&json!(2), &json!("2025-06-09T10:30:45Z")));
    let told =
        |service: &Value| ["name", "endpoint", "port", "timeout", "status"].map(|member| service[member].clone());
    let analytics = json!(["analytics-service", "analytics.internal", 8001, 30.0, "unknown"]);
    let users = json!(["user-service", "10.0.0.7", 8002, 5.0, "unknown"]);
    assert_eq!(json!(told(&listed["services"][0])), analytics);
    assert_eq!(json!(told(&listed["services"][1])), users);
    let endpoints = listed["services"][1]["endpoints"].as_array().unwrap();
    let addresses: Vec<_> = endpoints.iter().map(|endpoint| endpoint["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["http://10.0.0.7:8002", "http://10.0.0.8:8003"]);

    assert_eq!(app.get("/").await.expect(200).json()["consumer_services"], 2);
    let named = json!([
        {"name": "analytics-service", "endpoint": "analytics.internal", "port": 8001, "timeout": 30.0},
        {"name": "user-service", "endpoint": "10.0.0.7", "port": 8002, "timeout": 5.0},
    ]);
    assert_eq!(app.get("/status").await.expect(200).json()["consumer_services"], named);
}

#[tokio::test]
async fn a_service_is_unknown_until_it_answers_and_unavailable_when_it_is_gone() {
    let server = users().await;
    let app = app_with(&[entry("user-service", &server.url(), PATIENT)]);
    assert_eq!(only(&app).await["status"], "unknown");
    call(&app, "user-service", "GET", "/").await.expect(200);
    let known = only(&app).await;
    assert_eq!((&known["status"], &known["endpoints"][0]["status"]), (&json!("available"), &json!("available")));
    drop(server);
    eventually("it is unavailable", || async {
        let _answered_or_not = call(&app, "user-service", "GET", "/").await;
        (only(&app).await["status"] == "unavailable").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_service_of_which_one_place_is_gone_is_degraded() {
    let (one, other) = (users().await, users().await);
    let entries = [&one, &other].map(|server| entry("user-service", &server.url(), PATIENT));
    let app = app_with(&entries);
    eventually("both were heard of", || async {
        call(&app, "user-service", "GET", "/").await.expect(200);
        (only(&app).await["status"] == "available").then_some(())
    })
    .await;
    drop(one);
    let degraded = eventually("one is missed", || async {
        call(&app, "user-service", "GET", "/").await.expect(200);
        Some(only(&app).await).filter(|service| service["status"] == "degraded")
    })
    .await;
    let statuses = [0, 1].map(|place: usize| degraded["endpoints"][place]["status"].clone());
    assert_eq!(json!(statuses), json!(["unavailable", "available"]));
}

#[tokio::test]
async fn a_service_that_the_room_calls_is_known_at_the_place_of_the_room() {
    let server = users().await;
    let with_client = |context: &Context| {
        let service = service(context);
        let url = server.url().parse::<ServiceUrls>().unwrap();
        let limits = CallLimits { timeout: Duration::from_millis(1), ..CallLimits::default() };
        let client = ServiceClient::new("user-service", url, limits, service.metrics()).unwrap();
        service.calls(&client)
    };
    let app = TestApp::start(with_client);
    assert_eq!(only(&app).await["timeout"], 30.0, "and not for so short a time as the room waits");
    let elsewhere = json!([entry("user-service", "http://10.255.255.1:9", PATIENT)]).to_string();
    let app = TestApp::start_with(&[("CONSUMER_SERVICES", elsewhere.as_str())], with_client);
    let known = only(&app).await;
    assert_eq!((&known["timeout"], &known["endpoint"]), (&json!(PATIENT), &json!("127.0.0.1")));
    call(&app, "user-service", "GET", "/").await.expect(200);
}

#[tokio::test]
async fn a_service_may_turn_up_while_others_are_served() {
    let server = users().await;
    let mut found: Option<(Callees, ServiceClient)> = None;
    let app = TestApp::start(|context| {
        let service = service(context);
        let url = server.url().parse::<ServiceUrls>().unwrap();
        let client = ServiceClient::new("user-service", url, CallLimits::default(), service.metrics()).unwrap();
        found = Some((service.callees().clone(), client));
        service
    });
    let (callees, client) = found.unwrap();
    call(&app, "user-service", "GET", "/").await.expect_problem(404, "Service user-service not found");
    callees.insert(client);
    call(&app, "user-service", "GET", "/").await.expect(200);
    assert_eq!(app.get("/").await.expect(200).json()["consumer_services"], 1);
    assert_eq!(app.get("/services").await.expect(200).json()["count"], 1);
}

#[tokio::test]
async fn in_production_operators_see_them_on_their_own_listener() {
    let app =
        TestApp::start_with(&[("PRODUCTION", "true"), ("INTERNAL_PORT", "0"), ("KEELSON_HOST", "0.0.0.0")], service);
    let operator = app.token("ann", &["ops:read"]);
    app.ask_as(&operator, Method::GET, "/services", Body::empty()).await.expect_problem(404, "Not Found");
    let request = app.request(Method::GET, "/services").body(Body::empty()).unwrap();
    assert_eq!(app.send_internal(request).await.expect(200).json()["count"], 0);
}

#[tokio::test]
async fn on_a_public_port_the_list_is_for_those_who_operate() {
    let app = TestApp::start(service);
    let bad = app.ask_as("bad", Method::GET, "/services", Body::empty()).await;
    bad.expect_problem(401, "Invalid or expired token");
    app.send(app.request(Method::HEAD, "/services").body(Body::empty()).unwrap()).await.expect(200);
    assert_eq!(app.post("/services", "").await.expect(405).header("allow"), "GET,HEAD");
    let document = serde_json::to_value(chassis::http::openapi(service(&Context::system()))).unwrap();
    assert_eq!(document["paths"]["/services"]["get"]["security"], json!([{ "user": ["ops:read"] }]));
}
