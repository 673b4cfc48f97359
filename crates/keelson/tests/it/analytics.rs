//! Analytics in the whole product: seed 003's walk-through, what survives a kill, and services in processes of their own.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::launch::Launch;
use crate::outbox::waiting;
use crate::postgres::Site;
use crate::production::serve;
use crate::system::{Answer, System};

const PASSWORD: &str = "correct horse battery";
/// How long events may take, with the lease of a relay that was killed.
const PATIENCE: Duration = Duration::from_secs(60);
const PRIVATE_KEY: &str = include_str!("../../../chassis/src/auth/tokens/testdata/for_tests_only_p256.pem");

async fn post(system: &System, service: &str, path: &str, body: Value) -> Answer {
    Answer::of(system.post(service, path).json(&body)).await
}

/// Registers somebody and logs in; answers the token.
async fn account(system: &System, name: &str) -> String {
    let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
    let registered = post(system, "users", "/api/v1/users/register", body.clone()).await;
    assert_eq!(registered.status, 200, "{registered:?}");
    let token = post(system, "users", "/api/v1/users/login", body).await.json();
    token["access_token"].as_str().unwrap().to_owned()
}

async fn stats(system: &System, token: &str) -> Value {
    let answer = Answer::of(system.get("analytics", "/api/v1/analytics/stats").bearer_auth(token)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].clone()
}

/// Waits until as many events were counted, by their types.
async fn counted(system: &System, token: &str, events_by_type: Value) -> Value {
    let begun = Instant::now();
    loop {
        let stats = stats(system, token).await;
        if stats["events_by_type"] == events_by_type {
            return stats;
        }
        assert!(begun.elapsed() < PATIENCE, "not {events_by_type}: {stats}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_seeds_walk_through_works_from_registration_to_statistics() {
    let system = System::up().await;
    let token = account(&system, "johnny").await;
    let profile = Answer::of(system.get("users", "/api/v1/users/profile").bearer_auth(&token)).await.json();
    assert_eq!(profile["data"]["username"], "johnny");
    let event = json!({ "event_type": "page_view", "event_name": "Start page", "properties": { "path": "/" } });
    let created = post(&system, "analytics", "/api/v1/analytics/events", event).await;
    assert_eq!((created.status, &created.json()["message"]), (200, &json!("Event created successfully")));
    let stats = counted(&system, &token, json!({ "page_view": 1, "user_login": 1, "user_registration": 1 })).await;
    assert_eq!(stats["user_stats"], json!({ "total_users": 1, "active_users": 1, "inactive_users": 0 }));
    assert_eq!(stats["warnings"], json!([]));
    for (service, peer) in [("users", "analytics-service"), ("analytics", "user-service")] {
        let ready = Answer::of(system.get(service, "/health/ready")).await.json();
        assert_eq!(ready["dependencies"][peer]["status"], "up", "{ready}");
    }
}

#[tokio::test]
async fn what_becomes_of_an_order_is_told_and_counted() {
    let system = System::up().await;
    let john = json!({ "name": "John Doe", "email": "john@example.com" });
    let john = post(&system, "users", "/api/v1/users", john).await.json();
    let item = json!({ "product_id": "p", "product_name": "Laptop", "quantity": 1, "price": 999.99 });
    let order = json!({ "user_id": john["id"], "items": [item], "shipping_address": "1 Main St" });
    let created = post(&system, "orders", "/api/v1/orders", order).await;
    assert_eq!(created.status, 201, "{created:?}");
    let url = format!("{}/api/v1/orders/{}", system.url("orders"), created.json()["id"].as_str().unwrap());
    for change in [json!({ "shipping_address": "2 Main St" }), json!({ "status": "confirmed" })] {
        assert_eq!(Answer::of(system.http.put(&url).json(&change)).await.status, 200);
    }
    assert_eq!(Answer::of(system.http.delete(&url)).await.status, 204);
    let expected = json!({ "order_created": 1, "order_deleted": 1, "order_status_changed": 1, "order_updated": 1 });
    let stats = counted(&system, "", expected).await;
    assert_eq!(stats["total_events"], 4);
}

/// How long a registration took, as the service says itself.
async fn registered(system: &System, name: &str) -> Duration {
    let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
    let answer = post(system, "users", "/api/v1/users/register", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.process_time()
}

#[tokio::test]
async fn whoever_registers_does_not_wait_for_analytics() {
    // There nobody answers: the port is taken and nothing is accepted.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (with, without) = (System::up().await, Launch::up().env("ANALYTICS_SERVICE_URL", &url).start().await);
    let mut slower = Vec::new();
    for number in 0..25 {
        let name = format!("john{number}");
        let (up, down) = (registered(&with, &name).await, registered(&without, &name).await);
        slower.push(down.as_secs_f64() - up.as_secs_f64());
    }
    slower.sort_by(f64::total_cmp);
    assert!(slower[12] <= 0.05, "in the median {} s slower, of {slower:?}", slower[12]);
    assert_eq!(waiting(&without, &without.launch, "users").await, 25);
}

/// Each event of what was done is counted once, though the system is killed between commits, deliveries and removals.
async fn kill_again_and_again(rounds: usize) {
    let mut launch = Launch::up().env("RATE_LIMIT", "0");
    for round in 0..rounds {
        let mut system = launch.start().await;
        for number in 0..=round % 4 {
            account(&system, &format!("john{round}x{number}")).await;
        }
        sleep(Duration::from_millis(u64::try_from(round * 13 % 60).unwrap())).await;
        system.kill();
        launch = system.launch.clone();
    }
    let system = launch.start().await;
    let users = Answer::of(system.get("users", "/api/v1/users/stats/count")).await.json();
    let users = users["data"]["total_users"].clone();
    let stats = counted(&system, "", json!({ "user_login": users, "user_registration": users })).await;
    assert_eq!(stats["user_stats"]["total_users"], users);
}

#[tokio::test]
async fn every_event_is_counted_once_though_the_system_is_killed() {
    kill_again_and_again(4).await;
}

#[tokio::test]
#[ignore = "a minute: 50 rounds; ./test full runs it"]
async fn every_event_is_counted_once_though_the_system_is_killed_fifty_times() {
    kill_again_and_again(50).await;
}

/// In production, with a key that users alone has: analytics fetches its public half, and takes the events that users
/// shows its own token for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_in_processes_of_their_own_know_each_others_tokens() {
    let Some(site) = Site::new() else { return };
    let key = site.folder().with_file_name("key.pem");
    std::fs::write(&key, PRIVATE_KEY).unwrap();
    let reference = format!("file:{}", key.display());
    let own_port = |launch: Launch| launch.unset("QUEUE_URL").unset("OBJECTS_URL");
    // Where analytics will be is known before it starts; where users is, from its start on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let users = own_port(site.serve("users")).env("JWT_SECRET_KEY", &reference);
    let users = users.env("ANALYTICS_SERVICE_URL", &format!("http://127.0.0.1:{port}")).start().await;
    account(&users, "johnny").await;

    let analytics = own_port(site.serve("analytics")).env("EVENTS_URL", "postgres:").env("ANALYTICS_PORT", &port);
    let analytics = analytics.env("USER_SERVICE_URL", &users.url("users")).start().await;
    let operator = users.launch.args(&["token", "issue", "--scope", "analytics:read"]).run();
    let operator = String::from_utf8(operator.stdout).unwrap();
    let stats = counted(&analytics, operator.trim(), json!({ "user_login": 1, "user_registration": 1 })).await;
    assert_eq!(stats["user_stats"]["total_users"], 1);
    let stranger = Answer::of(analytics.get("analytics", "/api/v1/analytics/stats")).await;
    assert_eq!(stranger.status, 401, "{stranger:?}");
}

#[tokio::test]
async fn production_asks_for_something_to_verify_tokens_with() {
    let output = serve(&["analytics"]).env("EVENTS_URL", "memory:").run();
    let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("JWT_SECRET_KEY") && text.contains("USER_SERVICE_URL"), "{text}");
}
