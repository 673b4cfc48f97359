//! Events on their way from orders to analytics, whatever dies in between.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use chassis::testing::TestServer;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::launch::Launch;
use crate::outbox::{Analytics, all_delivered};
use crate::postgres::Site;
use crate::production::serve;
use crate::system::{Answer, System, eventually};

const STRONG_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";
const ORDERS: &str = "/api/v1/orders";

/// Between two orders of a caller: what fails now and then takes events far more slowly than orders makes them.
const PAUSE: Duration = Duration::from_millis(20);

/// What callers were told.
#[derive(Default)]
struct Done {
    created: BTreeSet<String>,
    confirmed: BTreeSet<String>,
}

/// Makes orders and confirms them until the process is killed, a moment after so many answers.
async fn work_until_killed(system: &mut System, token: &str, round: usize, done: &Arc<Mutex<Done>>) {
    let mut callers = JoinSet::new();
    let answers = |done: &Mutex<Done>| done.lock().unwrap().created.len();
    let before = answers(done);
    for _ in 0..4 {
        let (http, url, token, done) = (system.http.clone(), system.url("orders"), token.to_owned(), Arc::clone(done));
        let item = json!({ "product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99 });
        let body = json!({ "user_id": "ann", "items": [item], "shipping_address": "123 Main St" });
        callers.spawn(async move {
            loop {
                let create = http.post(format!("{url}{ORDERS}")).bearer_auth(&token).json(&body);
                let Ok(answer) = Answer::try_of(create).await else { break };
                assert_eq!(answer.status, 201, "{answer:?}");
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                done.lock().unwrap().created.insert(id.clone());
                let confirm = http.put(format!("{url}{ORDERS}/{id}")).bearer_auth(&token);
                let Ok(answer) = Answer::try_of(confirm.json(&json!({ "status": "confirmed" }))).await else { break };
                assert_eq!(answer.status, 200, "{answer:?}");
                done.lock().unwrap().confirmed.insert(id);
                sleep(PAUSE).await;
            }
        });
    }
    eventually("some are answered", || (answers(done) > before + round * 5 % 13).then_some(())).await;
    sleep(Duration::from_millis(u64::try_from(round * 7 % 40).unwrap())).await;
    system.kill();
    callers.join_all().await;
}

/// Kills the process between commits and deliveries, so often; then every event of what was answered has come, and none
/// of what was not done.
async fn kill_between_commit_and_delivery(launch: Launch, rounds: RangeInclusive<usize>) {
    let (analytics, everybody) = (Analytics::default(), Router::new().fallback(async || r#"{"id":"ann"}"#));
    let (server, users) = (analytics.serve().await, TestServer::start(everybody).await);
    let launch = launch.env("ANALYTICS_SERVICE_URL", &server.url()).env("USER_SERVICE_URL", &users.url());
    // Neither of them has a key.
    let launch = launch.env("JWT_SECRET_KEY", STRONG_KEY).env("RATE_LIMIT", "0").env("ENCRYPT_CALLS", "false");
    let issued = launch.args(&["token", "issue", "--scope", "orders:read", "--scope", "orders:write"]).run();
    let token = String::from_utf8(issued.stdout).unwrap().trim().to_owned();
    let done = Arc::new(Mutex::new(Done::default()));
    for round in rounds {
        let mut system = launch.start().await;
        work_until_killed(&mut system, &token, round, &done).await;
    }
    let system = launch.start().await;
    all_delivered(&system, &launch, "orders").await;
    let Done { created, confirmed } = std::mem::take(&mut *done.lock().unwrap());
    let told = analytics.entities("order_created");
    let orders: BTreeSet<_> = told.iter().cloned().collect();
    assert_eq!(orders.len(), told.len(), "an event has two ids");
    let missing: Vec<_> = created.difference(&orders).collect();
    assert!(missing.is_empty(), "of {} orders that were answered, these were not told: {missing:?}", told.len());
    let total = async |query: &str| {
        let listed = system.get("orders", &format!("{ORDERS}{query}")).bearer_auth(&token);
        Answer::of(listed).await.header("x-total-count").to_owned()
    };
    assert_eq!(total("").await, told.len().to_string(), "orders and their events differ");
    let changed = analytics.entities("order_status_changed");
    assert_eq!(total("?status=confirmed").await, changed.len().to_string(), "changes and their events differ");
    let changed: BTreeSet<_> = changed.into_iter().collect();
    assert!(changed.is_superset(&confirmed), "a change was not told: {:?}", confirmed.difference(&changed));
    analytics.assert_first("order_created");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_orders_arrive_though_the_process_is_killed_before_they_are_delivered() {
    kill_between_commit_and_delivery(serve(&["orders"]), 1..=3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute: 50 rounds; ./test full runs it"]
async fn events_of_orders_arrive_though_the_process_is_killed_fifty_times() {
    kill_between_commit_and_delivery(serve(&["orders"]), 1..=50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_orders_arrive_through_postgresql_though_the_process_is_killed_before_they_are_delivered() {
    let Some(site) = Site::new() else { return };
    kill_between_commit_and_delivery(site.serve("orders").unset("QUEUE_URL"), 1..=2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two minutes: 50 rounds; ./test full runs it"]
async fn events_of_orders_arrive_through_postgresql_though_the_process_is_killed_fifty_times() {
    let Some(site) = Site::new() else { return };
    kill_between_commit_and_delivery(site.serve("orders").unset("QUEUE_URL"), 1..=50).await;
}
