//! Services of a process know each other by name: `GET /services` and `POST /call/{service_name}`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::production::serve;
use crate::system::{Answer, System};

const STRONG_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";
/// `GET /api/v1/users?limit=1`, asked of users by another service.
const LIST_USERS: &str = "/call/user-service?path=%2Fapi%2Fv1%2Fusers%3Flimit%3D1&method=GET";

/// What a service says of the others.
async fn services(system: &System, of: &str) -> Vec<Value> {
    let answer = Answer::of(system.get(of, "/services")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["services"].as_array().unwrap().clone()
}

fn names(services: &[Value]) -> Vec<&str> {
    services.iter().map(|service| service["name"].as_str().unwrap()).collect()
}

fn issue(system: &System, scopes: &[&str]) -> String {
    let mut args = vec!["token", "issue"];
    args.extend(scopes.iter().flat_map(|scope| ["--scope", *scope]));
    let issued = system.launch.args(&args).run();
    assert!(issued.status.success(), "{issued:?}");
    String::from_utf8(issued.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn each_service_calls_the_others_by_name() {
    let system = System::up().await;
    let john = json!({ "name": "John Doe", "email": "john@example.com" });
    let made = system.post("ingest", "/call/user-service?path=/api/v1/users").json(&john);
    let made = Answer::of(made.header("idempotency-key", "k1").header("x-correlation-id", "my-id")).await;
    assert_eq!((made.status, &made.json()["status"]), (200, &json!(201)), "{made:?}");
    let john = &made.json()["result"];
    for service in ["archiver", "orders", "analytics", "ingest"] {
        let listed = Answer::of(system.post(service, LIST_USERS)).await.json();
        assert_eq!((&listed["status"], &listed["result"]), (&json!(200), &json!([john])), "{service}");
    }
    let itself = Answer::of(system.post("users", LIST_USERS)).await;
    assert_eq!((itself.status, &itself.json()["detail"]), (404, &json!("Service user-service not found")));
}

#[tokio::test]
async fn what_is_said_of_services_is_true_though_nobody_calls_them() {
    let system = System::up().await;
    let others = services(&system, "archiver").await;
    let names = names(&others);
    for name in ["analytics-service", "ingest", "order-service", "user-service"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.contains(&"archiver") && names.is_sorted(), "{names:?}");
    let begun = Instant::now();
    loop {
        let others = services(&system, "archiver").await;
        if others.iter().all(|service| service["status"] == "available" && service["endpoint"] == "127.0.0.1") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{others:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_configuration_adds_services_and_moves_them() {
    let consumed = json!([
        { "name": "billing", "endpoint": "billing.invalid", "port": 9000 },
        { "name": "ingest", "endpoint": "127.0.0.1", "port": 9, "timeout": 3 },
        { "name": "user-service", "endpoint": "127.0.0.1", "port": 9, "timeout": 4 },
    ]);
    let system = System::up_with(&[("CONSUMER_SERVICES", &consumed.to_string())]).await;
    let known = services(&system, "archiver").await;
    let told = |name: &str| {
        let service = known.iter().find(|service| service["name"] == name).unwrap();
        ["endpoint", "port", "timeout"].map(|member| service[member].clone())
    };
    assert_eq!(json!(told("billing")), json!(["billing.invalid", 9000, 30.0]));
    assert_eq!(json!(told("ingest")), json!(["127.0.0.1", 9, 3.0]));
    assert_eq!(json!(told("user-service")), json!(["127.0.0.1", 9, 4.0]));
    assert_eq!(told("order-service")[2], 30.0);
    let of_users = services(&system, "users").await;
    assert!(!names(&of_users).contains(&"user-service"), "no service calls itself: {of_users:?}");
    let gone = Answer::of(system.post("archiver", "/call/ingest")).await;
    assert_eq!((gone.status, &gone.json()["detail"]), (503, &json!("ingest unavailable")));
}

#[tokio::test]
async fn a_call_gets_nobody_more_than_they_may_have_without_it() {
    let system = serve(&["users", "analytics"]).env("JWT_SECRET_KEY", STRONG_KEY).start().await;
    let ask = async |token: &str| Answer::of(system.post("analytics", LIST_USERS).bearer_auth(token)).await;
    assert_eq!(Answer::of(system.post("analytics", LIST_USERS)).await.status, 401);
    assert_eq!(ask(&issue(&system, &["users:read"])).await.status, 403);
    let called = ask(&issue(&system, &["calls:invoke"])).await.json();
    assert_eq!((&called["status"], &called["result"]["status"]), (&json!(403), &json!(403)), "{called}");
    let called = ask(&issue(&system, &["calls:invoke", "users:read"])).await.json();
    assert_eq!((&called["status"], &called["result"]), (&json!(200), &json!([])), "{called}");
}
