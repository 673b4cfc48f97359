//! Analytics against the wire contract: each row of its section 7 and of the access table, section 2.4, asked of the
//! real binary in both modes on all three databases.

mod access;
mod events;
mod stats;

use std::net::TcpListener;

use serde_json::json;

use self::events::{STATS, event};
use self::stats::{counted, ready};
use crate::contract::access::public;
use crate::contract::place::{Kept, launch, tokens};
use crate::contract::row::{Row, get};
use crate::contract::walk::Walk;
use crate::launch::Launch;
use crate::mongo_server::Server;

/// Starts analytics on an empty store and walks through all tables; then once more, while users is away.
async fn walk(production: bool, kept: Kept) {
    let name = if production { "analytics_in_production" } else { "analytics_in_development" };
    let launch = launch(production, &["users", "analytics"]);
    let Some(launch) = kept.launch(launch, "EVENTS_URL", name) else { return };
    let known = tokens(&launch, "analytics", &["users:read", "users:write"]);
    let mut walk = Walk { system: launch.start().await, service: "analytics", production, known };
    let tables: [(&str, Vec<Row>); 12] = [
        ("readiness", vec![ready(200, "ready", ("up", "up"))]),
        ("users", stats::user_stats()),
        ("types", events::types()),
        ("mistakes", events::mistakes()),
        ("filters", stats::filters()),
        ("times", stats::times()),
        ("bounds", events::bounds()),
        ("keys", events::keys()),
        ("what users tells", stats::told()),
        ("public routes", public(&[])),
        ("guarded routes", access::guarded()),
        ("the other header", access::in_the_other_header()),
    ];
    for (name, rows) in tables {
        walk.go(name, rows).await;
    }
    while_users_is_away(walk, &launch).await;
}

/// Where nobody listens, and where nobody answers: the port is taken and nothing is accepted.
async fn while_users_is_away(mut walk: Walk, launch: &Launch) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    for (name, url) in [("refused", "http://127.0.0.1:1"), ("silent", silent_url.as_str())] {
        walk = walk.start_again(&launch.clone().env("USER_SERVICE_URL", url)).await;
        walk.go(name, stats::users_down(name)).await;
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
async fn development_on_mongodb_answers_as_the_contract_has_it() {
    walk(false, Kept::Mongo).await;
}

#[tokio::test]
async fn production_on_sqlite_answers_as_the_contract_has_it() {
    walk(true, Kept::File).await;
}

#[tokio::test]
async fn production_on_postgresql_answers_as_the_contract_has_it() {
    walk(true, Kept::Postgres).await;
}

#[tokio::test]
async fn production_on_mongodb_answers_as_the_contract_has_it() {
    walk(true, Kept::Mongo).await;
}

/// Section 2.1: a dependency that is down is 503, never another failure.
#[tokio::test]
async fn while_mongodb_is_down_both_routes_are_503_and_what_was_counted_is_there_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start_on(&folder.path().display().to_string()) else { return };
    let launch = launch(false, &["analytics"]).env("EVENTS_URL", &server.url("events"));
    let known = tokens(&launch, "analytics", &[]);
    let mut walk = Walk { system: launch.start().await, service: "analytics", production: false, known };
    let one = || counted("?user_id=ann", json!({ "page_view": 1 }));
    let before = vec![event("page_view", "ann").status(200), one()];
    walk.go("before", before).await;
    server.kill();
    let down = vec![
        event("page_view", "ann").status(503),
        get(STATS).status(503),
        get("/health").status(200),
        ready(503, "not_ready", ("down", "up")),
    ];
    walk.go("while it is down", down).await;
    server.start_again();
    let back = vec![one().in_time(), event("api_call", "ann").status(200), ready(200, "ready", ("up", "up"))];
    walk.go("when it is back", back).await;
}
