//! Section 7: events on their way in.

use reqwest::Method;
use serde_json::{Value, json};

use super::stats::counted;
use crate::contract::people::envelope;
use crate::contract::row::{Caller, Row, get, post, put, request};

pub(super) const EVENTS: &str = "/api/v1/analytics/events";
pub(super) const STATS: &str = "/api/v1/analytics/stats";

const TYPES: [&str; 11] = [
    "user_action",
    "page_view",
    "api_call",
    "user_registration",
    "user_login",
    "user_deleted",
    "order_created",
    "order_updated",
    "order_status_changed",
    "order_deleted",
    "custom",
];

/// An event of somebody.
pub(super) fn event(event_type: &str, user_id: &str) -> Row {
    let name = "Somebody did something";
    post(EVENTS, json!({ "event_type": event_type, "event_name": name, "user_id": user_id }))
}

/// The answer to an event that has this name here.
pub(super) fn created(name: &str, event_type: &str) -> Value {
    let data = json!({ "event_id": format!("<id-{name}>"), "event_type": event_type });
    envelope("Event created successfully", data)
}

fn one_of_each() -> Value {
    let mut sorted = TYPES;
    sorted.sort_unstable();
    sorted.into_iter().map(|event_type| (event_type.to_owned(), json!(1))).collect()
}

/// On an empty store.
pub(super) fn types() -> Vec<Row> {
    let mut rows = vec![counted("", json!({}))];
    for event_type in TYPES {
        let body = json!({ "event_type": event_type, "event_name": "x" });
        rows.push(post(EVENTS, body).is(200, created(&format!("of-{event_type}"), event_type)));
    }
    rows.push(counted("", one_of_each()));
    rows
}

/// A custom event with another member; without it for nothing.
fn with(member: &str, value: Option<Value>) -> Row {
    let mut body = json!({ "event_type": "custom", "event_name": "x", "user_id": "limits", "properties": {} });
    match value {
        Some(value) => body[member] = value,
        None => drop(body.as_object_mut().unwrap().remove(member)),
    }
    post(EVENTS, body)
}

/// After one event of each type.
pub(super) fn mistakes() -> Vec<Row> {
    let wrong = |member: &str, value: Value| with(member, Some(value)).wrong(&[member]);
    let raw = |body: &str| request(Method::POST, EVENTS, Some(body.to_owned())).wrong_at(json!(["body"]));
    let all = json!({ "event_type": "party", "event_name": "n".repeat(101), "properties": [] });
    let mut rows = vec![post(EVENTS, all).wrong(&["event_type", "event_name", "properties"])];
    rows.extend(["party", "", "Custom", "page-view"].map(|it| wrong("event_type", json!(it))));
    rows.extend([json!(1), Value::Null].map(|it| wrong("event_type", it)));
    rows.extend([json!("é".repeat(101)), json!(1), Value::Null].map(|it| wrong("event_name", it)));
    rows.extend([json!(42), json!({})].map(|it| wrong("user_id", it)));
    rows.extend([json!([]), json!("{}"), json!(1), json!(true)].map(|it| wrong("properties", it)));
    rows.extend(["event_type", "event_name"].map(|it| with(it, None).wrong(&[it])));
    rows.extend(["{", "[]", "null", ""].map(raw));
    rows.extend([
        with("event_name", Some(json!("n".repeat(3 << 20)))).problem(413, "Payload too large"),
        get(EVENTS).problem(405, "Method Not Allowed").and("allow", "POST"),
        put(STATS, json!({})).problem(405, "Method Not Allowed").and("allow", "GET, HEAD"),
        counted("", one_of_each()),
    ]);
    rows
}

/// What is taken: user and properties are optional, and `null` is none.
pub(super) fn bounds() -> Vec<Row> {
    let taken = |member: &str, value: Value| with(member, Some(value)).status(200);
    vec![
        taken("event_name", json!("x")),
        taken("event_name", json!("é".repeat(100))),
        taken("properties", Value::Null),
        taken("properties", json!({ "path": "/", "more": [1, 2.5, null, { "a.b": "ü", "$set": { "c": true } }] })),
        taken("unknown", json!(1)),
        with("properties", None).status(200),
        counted("?user_id=limits", json!({ "custom": 6 })),
        taken("user_id", Value::Null),
        with("user_id", None).status(200),
        counted("?user_id=limits", json!({ "custom": 6 })),
        counted("?event_type=custom", json!({ "custom": 9 })),
    ]
}

/// `Idempotency-Key`: of one caller. Whatever is sent again is counted once.
pub(super) fn keys() -> Vec<Row> {
    let keyed = |key: &str, user: &str| event("custom", user).with("idempotency-key", key);
    let writer = Caller::Bearer("token-writer");
    vec![
        keyed("k1", "kim").is(200, created("once", "custom")),
        keyed("k1", "kim").is(200, created("once", "custom")),
        keyed("k1", "lou").status(422),
        keyed("k1", "lou").by(writer).is(200, created("by-another", "custom")),
        keyed("k2", "kim").is(200, created("other-key", "custom")),
        counted("?user_id=kim", json!({ "custom": 2 })),
        counted("?user_id=lou", json!({ "custom": 1 })),
    ]
}
