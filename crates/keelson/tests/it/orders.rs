//! Orders in the whole product: the examples of seed 004, who may do what, and what survives a kill.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::launch::Launch;
use crate::postgres::Site;
use crate::production::serve;
use crate::system::{Answer, System};

const PASSWORD: &str = "correct horse battery";
const STRONG_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";
const ORDERS: &str = "/api/v1/orders";

fn laptop(user_id: &str) -> Value {
    json!({
        "user_id": user_id,
        "items": [{ "product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99 }],
        "shipping_address": "123 Main St, City, Country",
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

async fn order(system: &System, user_id: &str) -> Answer {
    Answer::of(system.post("orders", ORDERS).json(&laptop(user_id))).await
}

async fn ask(system: &System, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = system.http.request(method, format!("{}{path}", system.url("orders"))).bearer_auth(token);
    Answer::of(request.json(&body)).await
}

/// Registers somebody; answers the id and a token.
async fn account(system: &System, username: &str) -> (String, String) {
    let body = json!({ "username": username, "email": format!("{username}@example.com"), "password": PASSWORD });
    let post = async |path: &str| Answer::of(system.post("users", path).json(&body)).await.json();
    let registered = post("/api/v1/users/register").await;
    (text(&registered["data"]["user_id"]), text(&post("/api/v1/users/login").await["access_token"]))
}

/// A token of the command line.
fn issued(launch: &Launch, subject: &str, scopes: &[&str]) -> String {
    let scopes: Vec<_> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
    let output = launch.args(&[&["token", "issue", "--subject", subject], &scopes[..]].concat()).run();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_seeds_walk_through_works_and_what_was_answered_outlives_a_kill() {
    let mut system = System::up().await;
    let john = json!({ "name": "John Doe", "email": "john.doe@example.com", "age": 30 });
    let john = Answer::of(system.post("users", "/api/v1/users").json(&john)).await.json();
    let created = order(&system, &text(&john["id"])).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert!(created.text.contains("\"price\":999.99}") && created.text.contains("\"total_amount\":999.99,"));
    let path = format!("{ORDERS}/{}", text(&created.json()["id"]));
    let confirm = system.http.put(format!("{}{path}", system.url("orders"))).json(&json!({ "status": "confirmed" }));
    let confirmed = Answer::of(confirm).await;
    assert_eq!((confirmed.status, confirmed.header("etag")), (200, "\"2\""), "{confirmed:?}");
    system.kill();

    let system = system.launch.start().await;
    let found = Answer::of(system.get("orders", &path)).await;
    assert_eq!((found.status, &found.text, found.header("etag")), (200, &confirmed.text, "\"2\""));
    let listed = Answer::of(system.get("orders", ORDERS)).await;
    assert_eq!(listed.json(), json!([confirmed.json()]));
    let of_john = Answer::of(system.get("orders", &format!("{ORDERS}/user/{}", text(&john["id"])))).await;
    assert_eq!(of_john.text, listed.text);
    let ready = Answer::of(system.get("orders", "/health/ready")).await.json();
    let dependencies = &ready["dependencies"];
    assert_eq!((&ready["status"], &dependencies["user-service"]["status"]), (&json!("ready"), &json!("up")));
    assert_eq!(dependencies["store"]["status"], "up");
}

#[tokio::test]
async fn of_many_changes_of_one_order_at_once_none_is_refused_and_one_way_is_gone() {
    let system = Launch::up().env("RATE_LIMIT", "0").start().await;
    let john = json!({ "name": "John Doe", "email": "john.doe@example.com" });
    let john = Answer::of(system.post("users", "/api/v1/users").json(&john)).await.json();
    let created = order(&system, &text(&john["id"])).await.json();
    let url = format!("{}{ORDERS}/{}", system.url("orders"), text(&created["id"]));
    let all = async |changes: Vec<Value>| {
        join_all(changes.iter().map(|change| Answer::of(system.http.put(&url).json(change)))).await
    };
    let addresses =
        all((0..50).map(|number| json!({ "shipping_address": format!("{number} Main St") })).collect()).await;
    let mut tags: Vec<_> = addresses.iter().map(|answer| (answer.status, answer.header("etag").to_owned())).collect();
    tags.sort_by_key(|(_, tag)| (tag.len(), tag.clone()));
    assert_eq!(tags, (2..=51).map(|version| (200, format!("\"{version}\""))).collect::<Vec<_>>());

    assert_eq!(all(vec![json!({ "status": "confirmed" })]).await[0].status, 200);
    let ways = (0..50).map(|number| json!({ "status": if number % 2 == 0 { "shipped" } else { "cancelled" } }));
    let ways = all(ways.collect()).await;
    let winner = Answer::of(system.http.get(&url)).await.json()["status"].clone();
    assert!(winner == "shipped" || winner == "cancelled", "{winner}");
    let (won, lost): (Vec<_>, Vec<_>) = ways.into_iter().partition(|answer| answer.status == 200);
    assert!(won.len() == 25 && won.iter().all(|answer| answer.json()["status"] == winner), "{won:?}");
    assert!(lost.len() == 25 && lost.iter().all(|answer| answer.status == 409), "{lost:?}");
}

#[tokio::test]
async fn whoever_is_no_user_cannot_order_and_reaches_no_other_route() {
    let system = System::up().await;
    for id in [
        "01975408-5f35-7000-8000-000000000000",
        "../../../health",
        "..",
        "stats/count",
        "%2e%2e/%2e%2e/ready",
        "profile",
        "login",
    ] {
        let refused = order(&system, id).await;
        assert_eq!((refused.status, &refused.json()["detail"]), (404, &json!("User not found")), "{id}");
    }
    assert_eq!(Answer::of(system.get("orders", ORDERS)).await.json(), json!([]));
}

#[tokio::test]
async fn while_users_is_down_an_order_is_503_within_two_seconds() {
    // Nobody listens there, and there nobody answers: the port is taken and nothing is accepted.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for url in ["http://127.0.0.1:1", &format!("http://{}", silent.local_addr().unwrap())] {
        let launch = serve(&["orders"]).env("JWT_SECRET_KEY", STRONG_KEY).env("USER_SERVICE_URL", url);
        let system = launch.start().await;
        let token = issued(&launch, "ann", &[]);
        let begun = Instant::now();
        let refused = ask(&system, &token, Method::POST, ORDERS, laptop("ann")).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{refused:?}");
        assert_eq!(refused.json()["detail"], "user-service unavailable");
        let listed = ask(&system, &token, Method::GET, ORDERS, Value::Null).await;
        assert_eq!((listed.status, listed.json()), (200, json!([])), "{listed:?}");
        let ready = Answer::of(system.get("orders", "/health/ready")).await;
        assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")), "{ready:?}");
    }
}

/// What the table of the contract says, with real tokens and a real users that is asked in the caller's name.
async fn people_order_for_themselves_and_operators_for_all(system: &System, operator: &str) {
    let (ann, token) = account(system, "annie").await;
    let (bob, _) = account(system, "bobby").await;
    assert_eq!(order(system, &ann).await.status, 401);
    let own = ask(system, &token, Method::POST, ORDERS, laptop(&ann)).await;
    assert_eq!(own.status, 201, "{own:?}");
    assert_eq!(ask(system, &token, Method::POST, ORDERS, laptop(&bob)).await.status, 404);
    let bobs = ask(system, operator, Method::POST, ORDERS, laptop(&bob)).await;
    assert_eq!(bobs.status, 201, "{bobs:?}");
    let nobodys = ask(system, operator, Method::POST, ORDERS, laptop("nobody")).await;
    assert_eq!(nobodys.status, 404, "{nobodys:?}");

    let path = |order: &Answer| format!("{ORDERS}/{}", text(&order.json()["id"]));
    assert_eq!(ask(system, &token, Method::GET, ORDERS, Value::Null).await.json(), json!([own.json()]));
    assert_eq!(ask(system, &token, Method::GET, &path(&bobs), Value::Null).await.status, 404);
    let all = ask(system, operator, Method::GET, ORDERS, Value::Null).await;
    assert_eq!(all.header("x-total-count"), "2");
    let put = async |token, status: &str| {
        ask(system, token, Method::PUT, &path(&own), json!({ "status": status })).await.status
    };
    assert_eq!(put(&token, "confirmed").await, 403);
    assert_eq!(put(operator, "confirmed").await, 200);
    assert_eq!(put(&token, "cancelled").await, 200);
    assert_eq!(ask(system, &token, Method::DELETE, &path(&own), Value::Null).await.status, 403);
    assert_eq!(ask(system, operator, Method::DELETE, &path(&own), Value::Null).await.status, 204);
}

const SCOPES: [&str; 3] = ["orders:read", "orders:write", "users:read"];

#[tokio::test]
async fn production_knows_whose_order_it_is_with_both_services_in_one_process() {
    let launch = serve(&["users", "orders"]).env("JWT_SECRET_KEY", STRONG_KEY).env("RATE_LIMIT", "0");
    let system = launch.start().await;
    people_order_for_themselves_and_operators_for_all(&system, &issued(&launch, "operator", &SCOPES)).await;
}

#[tokio::test]
async fn production_knows_whose_order_it_is_with_a_process_for_each_on_one_postgresql() {
    let Some(site) = Site::new() else { return };
    let launch = |service| site.serve(service).env("JWT_SECRET_KEY", STRONG_KEY).unset("QUEUE_URL");
    let users = launch("users").start().await;
    let launch = launch("orders").env("USER_SERVICE_URL", &users.url("users"));
    let mut orders = launch.start().await;
    orders.ready["services"]["users"] = users.url("users").into();
    people_order_for_themselves_and_operators_for_all(&orders, &issued(&launch, "operator", &SCOPES)).await;
}

#[tokio::test]
async fn orders_alone_must_be_told_where_users_is() {
    let launch = serve(&["orders"]).env("JWT_SECRET_KEY", STRONG_KEY);
    for (url, expected) in [
        (None, "USER_SERVICE_URL is not set: expected where users is, such as `http://users.internal:8002`"),
        (Some("users:8002"), "USER_SERVICE_URL=users:8002"),
    ] {
        let launch = url.map_or(launch.clone(), |url| launch.clone().env("USER_SERVICE_URL", url));
        let output = launch.run();
        let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}
