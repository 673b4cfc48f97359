//! Orders against the wire contract: each row of its section 6 and of the access table, section 2.4, asked of the real
//! binary in both modes on both databases.

mod access;
mod changes;
mod items;
mod orders;
mod statuses;

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use self::orders::{NOT_FOUND, ORDERS, changed, draft, draft_of, order, path, ready};
use crate::contract::access::public;
use crate::contract::people::somebody;
use crate::contract::place::{Kept, issue, launch, tokens};
use crate::contract::row::{Row, delete, get, post, put};
use crate::contract::walk::Walk;
use crate::launch::Launch;

/// How long somebody who orders waits for users at most.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Each change of an order is told to analytics, once.
fn told() -> Vec<Row> {
    let keyed = || post(ORDERS, draft("erin")).with("idempotency-key", "told").is(201, order("told", "erin"));
    let change = |changes: Value| put(path("told"), changes);
    let counted = |events: Value| {
        let stats = json!({ "total_events": 4, "events_by_type": events, "user_stats": "<any>", "warnings": [] });
        let body = json!({ "success": true, "message": "<text>", "data": stats });
        get("/api/v1/analytics/stats?user_id=<id-erin>").at("analytics").is(200, body).in_time()
    };
    vec![
        somebody("erin"),
        keyed(),
        keyed(),
        change(json!({ "status": "pending" })).status(200),
        change(json!({ "shipping_address": "2 Main St" })).status(200),
        change(json!({ "status": "delivered" })).status(409),
        change(json!({ "status": "confirmed" })).status(200),
        change(json!({ "status": "confirmed" })).status(200),
        delete(path("told")).empty(204),
        delete(path("told")).problem(404, NOT_FOUND),
        counted(json!({ "order_created": 1, "order_deleted": 1, "order_status_changed": 1, "order_updated": 1 })),
    ]
}

/// While users is down nobody new orders, soon enough, and all else goes on: with an order that somebody has.
fn users_down(name: &str, user: &str) -> Vec<Row> {
    let refused = |user_id: &str| post(ORDERS, draft_of(user_id)).status(503).within(LONGEST_WAIT);
    let confirmed = changed(name, user, json!({ "status": "confirmed" }));
    vec![
        refused("<id-ann>"),
        refused("01975408-5f35-7000-8000-000000000000"),
        refused("../../../health"),
        post(ORDERS, json!({ "user_id": "<id-ann>" })).status(422),
        changes::once(),
        get(path(name)).is(200, order(name, user)),
        get(format!("{ORDERS}/user/<id-{user}>")).status(200),
        put(path(name), json!({ "status": "confirmed" })).is(200, confirmed).and("etag", "\"2\""),
        delete(path(name)).empty(204),
        ready("degraded", "down"),
    ]
}

/// Starts orders on an empty store and walks through all tables; then once more, while users is away.
async fn walk(production: bool, kept: Kept) {
    let name = if production { "orders_in_production" } else { "orders_in_development" };
    let launch = launch(production, &["users", "orders", "analytics"]);
    let Some(launch) = kept.launch(launch, "DATABASE_URL", name) else { return };
    let mut known = tokens(&launch, "orders", &["users:read", "users:write", "analytics:read"]);
    known.insert("token-seller".into(), issue(&launch, "seller", &["orders:write", "users:read"]));
    let mut walk = Walk { system: launch.start().await, service: "orders", production, known };
    let tables: [(&str, Vec<Row>); 15] = [
        ("create and list", orders::create_and_list()),
        ("filters", orders::filters()),
        ("reads", orders::reads()),
        ("who is no user", orders::who_is_no_user()),
        ("readiness", vec![ready("ready", "up")]),
        ("totals", items::totals()),
        ("bounds of items", items::bounds_of_items()),
        ("bounds", items::bounds()),
        ("statuses", [statuses::all_pairs(), statuses::no_statuses()].concat()),
        ("changes", changes::changes()),
        ("conditions and deletion", changes::conditions_and_deletion()),
        ("keys", changes::keys()),
        ("what analytics is told", told()),
        ("public routes", public(&[])),
        ("guarded routes", access::guarded()),
    ];
    for (name, rows) in tables {
        walk.go(name, rows).await;
    }
    if production {
        walk.go("own orders", access::own()).await;
        walk.go("changes of own orders", access::own_changes()).await;
    }
    walk.go("the other header", access::in_the_other_header()).await;
    walk.refuses_what_is_in_flight(201, |_| post(ORDERS, draft("ann"))).await;
    while_users_is_away(walk, &launch).await;
}

/// Where nobody listens, and where nobody answers: the port is taken and nothing is accepted.
async fn while_users_is_away(mut walk: Walk, launch: &Launch) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    for (url, order, user) in [("http://127.0.0.1:1", "first", "ann"), (silent_url.as_str(), "second", "bob")] {
        walk = walk.start_again(&launch.clone().env("USER_SERVICE_URL", url)).await;
        walk.go(url, users_down(order, user)).await;
    }
}

#[tokio::test]
async fn development_on_sqlite_answers_as_the_contract_has_it() {
    walk(false, Kept::File).await;
}

#[tokio::test]
async fn development_on_postgresql_answers_as_the_contract_has_it() {
    walk(false, Kept::Postgres).await;
}

#[tokio::test]
async fn production_on_sqlite_answers_as_the_contract_has_it() {
    walk(true, Kept::File).await;
}

#[tokio::test]
async fn production_on_postgresql_answers_as_the_contract_has_it() {
    walk(true, Kept::Postgres).await;
}
