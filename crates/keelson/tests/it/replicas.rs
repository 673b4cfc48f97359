//! A service in several places: whoever calls it does not see that one of them ends.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::postgres::Site;
use crate::system::{Answer, System};

const STRONG_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";
const ORDERS: &str = "/api/v1/orders";

/// The entry of a replica in `CONSUMER_SERVICES`.
fn entry(users: &System) -> Value {
    let url: reqwest::Url = users.url("users").parse().unwrap();
    json!({ "name": "user-service", "endpoint": url.host_str(), "port": url.port() })
}

async fn order(orders: &System, token: &str, user_id: &str) -> Answer {
    let items = json!([{ "product_id": "p", "product_name": "Laptop", "quantity": 1, "price": 999.99 }]);
    let body = json!({ "user_id": user_id, "items": items, "shipping_address": "123 Main St" });
    let request = orders.http.request(Method::POST, format!("{}{ORDERS}", orders.url("orders"))).bearer_auth(token);
    Answer::of(request.json(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_of_users_are_killed_in_turn_and_every_order_is_taken() {
    let Some(site) = Site::new() else { return };
    let launch = |service| site.serve(service).env("JWT_SECRET_KEY", STRONG_KEY).unset("QUEUE_URL");
    let mut replicas = [launch("users").start().await, launch("users").start().await];
    let consumed = json!([entry(&replicas[0]), entry(&replicas[1])]).to_string();
    let orders = launch("orders").env("CONSUMER_SERVICES", &consumed).start().await;

    let issued = orders
        .launch
        .args(&["token", "issue", "--scope", "users:write", "--scope", "users:read", "--scope", "orders:write"])
        .run();
    let token = String::from_utf8(issued.stdout).unwrap().trim().to_owned();
    let john = json!({ "name": "John Doe", "email": "john@example.com" });
    let john = Answer::of(replicas[0].post("users", "/api/v1/users").bearer_auth(&token).json(&john)).await;
    assert_eq!(john.status, 201, "{john:?}");
    let john = john.json()["id"].as_str().unwrap().to_owned();
    for round in 0..4 {
        for _ in 0..10 {
            let taken = order(&orders, &token, &john).await;
            assert_eq!(taken.status, 201, "round {round}: {taken:?}");
        }
        let port = replicas[round % 2].url("users").rsplit(':').next().unwrap().to_owned();
        replicas[round % 2].kill();
        for _ in 0..10 {
            let taken = order(&orders, &token, &john).await;
            assert_eq!(taken.status, 201, "round {round}, with one replica: {taken:?}");
        }
        replicas[round % 2] = launch("users").env("USERS_PORT", &port).start().await;
        // Until the circuit lets a probe through.
        sleep(Duration::from_millis(1200)).await;
    }
    let begun = Instant::now();
    while Answer::of(orders.get("orders", "/health/ready")).await.json()["status"] != "ready" {
        assert!(begun.elapsed() < Duration::from_secs(10), "users is back");
        sleep(Duration::from_millis(50)).await;
    }
}
