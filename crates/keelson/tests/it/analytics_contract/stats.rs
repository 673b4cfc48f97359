//! Section 7: statistics of events, and of users as users tells them.

use reqwest::Method;
use serde_json::{Value, json};

use super::events::{STATS, event};
use crate::contract::people::{envelope, member, somebody};
use crate::contract::row::{Caller, Row, delete, get, put, request};

/// So many events of each type, under a filter; names of types in their order.
pub(super) fn counted(query: &str, events: Value) -> Row {
    stats(query, events, (json!("<any>"), json!([])))
}

fn stats(query: &str, events: Value, (users, warnings): (Value, Value)) -> Row {
    let total: u64 = events.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    let data = json!({ "total_events": total, "events_by_type": events, "user_stats": users, "warnings": warnings });
    get(format!("{STATS}{query}")).is(200, envelope("<text>", data))
}

/// So many users, of whom so many are active.
fn users(total: u8, active: u8) -> Row {
    let users = json!({ "total_users": total, "active_users": active, "inactive_users": total - active });
    stats("?user_id=nobody", json!({}), (users, json!([])))
}

/// While no user is there; then while some are.
pub(super) fn user_stats() -> Vec<Row> {
    let active = |active: bool| put("/api/v1/users/<id-amy>", json!({ "is_active": active })).at("users").status(200);
    vec![
        users(0, 0),
        somebody("amy"),
        users(1, 1),
        active(false),
        users(1, 0),
        somebody("bob"),
        users(2, 1),
        active(true),
        users(2, 2),
    ]
}

/// After one event of each type.
pub(super) fn filters() -> Vec<Row> {
    let wrong = |query: &str, places: &[&str]| {
        let places = places.iter().map(|place| json!(["query", place])).collect();
        get(format!("{STATS}?{query}")).wrong_places(places)
    };
    vec![
        event("user_login", "fay").status(200),
        event("user_login", "fay").status(200),
        event("page_view", "fay").status(200),
        event("user_login", "gus").status(200),
        counted("?user_id=fay", json!({ "page_view": 1, "user_login": 2 })),
        counted("?user_id=gus", json!({ "user_login": 1 })),
        counted("?user_id=nobody", json!({})),
        counted("?event_type=page_view", json!({ "page_view": 2 })),
        counted("?event_type=user_login", json!({ "user_login": 4 })),
        counted("?user_id=fay&event_type=user_login", json!({ "user_login": 2 })),
        counted("?user_id=fay&event_type=order_deleted", json!({})),
        request(Method::HEAD, STATS, None).empty(200),
        wrong("from=yesterday", &["from"]),
        wrong("to=2026-13-01", &["to"]),
        wrong("event_type=party", &["event_type"]),
        wrong("from=x&to=y&event_type=z", &["from", "to", "event_type"]),
    ]
}

/// Between two events a user is created, who has the instant.
pub(super) fn times() -> Vec<Row> {
    let of_ivy = |query: &str, events: Value| counted(&format!("?user_id=ivy&{query}"), events);
    let both = || json!({ "api_call": 1, "page_view": 1 });
    vec![
        event("page_view", "ivy").status(200),
        somebody("mark"),
        event("api_call", "ivy").status(200),
        of_ivy("from=<time-mark>", json!({ "api_call": 1 })),
        of_ivy("to=<time-mark>", json!({ "page_view": 1 })),
        of_ivy("from=<time-mark>&to=<time-mark>", json!({})),
        of_ivy("from=<time-mark>&to=2999-01-01T00:00:00Z&event_type=api_call", json!({ "api_call": 1 })),
        of_ivy("from=<time-mark>&event_type=page_view", json!({})),
        of_ivy("from=2020-01-01T00:00:00Z&to=2999-01-01T00:00:00Z", both()),
        of_ivy("from=2020-01-01T02:00:00%2B02:00", both()),
        of_ivy("from=2999-01-01T00:00:00Z", json!({})),
        of_ivy("to=2020-01-01T00:00:00Z", json!({})),
    ]
}

/// What users tells by itself.
pub(super) fn told() -> Vec<Row> {
    let mut rows = member("zoe").to_vec();
    let told = json!({ "user_deleted": 1, "user_login": 1, "user_registration": 1 });
    rows.push(delete("/api/v1/users/<id-zoe>").at("users").empty(204));
    rows.push(counted("?user_id=<id-zoe>", told).in_time());
    rows
}

/// While users is down, in a process that was started anew: what was counted is there.
pub(super) fn users_down(name: &str) -> Vec<Row> {
    let of_fay = json!({ "page_view": 1, "user_login": 2 });
    vec![
        stats("?user_id=fay", of_fay, (Value::Null, json!(["<text>"]))),
        event("custom", name).status(200),
        stats(&format!("?user_id={name}"), json!({ "custom": 1 }), (Value::Null, json!(["<text>"]))),
        ready(200, "degraded", ("up", "down")),
    ]
}

/// What analytics says that it stands on: its store and users.
pub(super) fn ready(code: u16, status: &str, (store, users): (&str, &str)) -> Row {
    let dependency = |status: &str| json!({ "status": status, "latency_ms": "<any>" });
    let body = json!({
        "status": status, "service": "analytics-service", "version": "<text>", "timestamp": "<time>",
        "dependencies": { "store": dependency(store), "user-service": dependency(users) },
    });
    get("/health/ready").by(Caller::Nobody).is(code, body).in_time()
}
