//! Section 6: addresses, deletions, conditions and keys of requests.

use serde_json::{Value, json};

use super::orders::{NOT_FOUND, ORDERS, changed, create, draft, laptop, order, path};
use crate::contract::row::{Caller, Row, delete, get, post, put};

fn address(name: &str, address: &str) -> Row {
    put(path(name), json!({ "shipping_address": address }))
}

fn status(name: &str, status: &str) -> Row {
    put(path(name), json!({ "status": status }))
}

/// The address changes only before shipping; items and user never do.
pub(super) fn changes() -> Vec<Row> {
    let after = |changes: Value| changed("moved", "ann", changes);
    let refused = |body: Value, members: &[&str]| put(path("moved"), body).wrong(members);
    let mut both = json!({ "status": "confirmed", "shipping_address": "3 Main St" });
    let confirmed = after(both.clone());
    both["unknown"] = json!(1);
    let mut rows = vec![
        create("moved", "ann"),
        address("moved", "2 Main St").is(200, after(json!({ "shipping_address": "2 Main St" }))).and("etag", "\"2\""),
        put(path("moved"), both).is(200, confirmed.clone()).and("etag", "\"3\""),
        refused(json!({ "items": [laptop()] }), &["items"]),
        refused(json!({ "user_id": "<id-ann>" }), &["user_id"]),
        refused(json!({ "items": null, "user_id": null, "status": "shipped" }), &["items", "user_id"]),
        refused(json!({ "shipping_address": "" }), &["shipping_address"]),
        refused(json!({ "shipping_address": "n".repeat(501) }), &["shipping_address"]),
        refused(json!({ "shipping_address": null }), &["shipping_address"]),
        refused(json!({ "shipping_address": 5 }), &["shipping_address"]),
        put(path("moved"), json!([])).wrong_at(json!(["body"])),
        get(path("moved")).is(200, confirmed).and("etag", "\"3\""),
        address("moved", "4 Main St").status(200),
    ];
    for (state, version) in [("shipped", "\"5\""), ("delivered", "\"6\"")] {
        let there = after(json!({ "status": state, "shipping_address": "4 Main St" }));
        rows.push(status("moved", state).is(200, there.clone()).and("etag", version));
        rows.push(address("moved", "5 Main St").status(409));
        rows.push(get(path("moved")).is(200, there).and("etag", version));
    }
    rows
}

pub(super) fn conditions_and_deletion() -> Vec<Row> {
    let read = |tag: &str| get(path("tagged")).with("if-none-match", tag);
    let move_to = |number: u8, tag: &str| address("tagged", &format!("{number} Main St")).with("if-match", tag);
    let moved = |number: u8| changed("tagged", "ann", json!({ "shipping_address": format!("{number} Main St") }));
    let remove = |tag: &str| delete(path("tagged")).with("if-match", tag);
    vec![
        create("tagged", "ann"),
        read("\"1\"").empty(304).and("etag", "\"1\""),
        read("\"7\", W/\"1\"").empty(304),
        read("*").empty(304),
        read("\"2\"").is(200, order("tagged", "ann")).and("etag", "\"1\""),
        move_to(2, "\"2\"").status(412),
        move_to(2, "W/\"1\"").status(412),
        get(path("tagged")).is(200, order("tagged", "ann")),
        move_to(2, "\"7\", \"1\"").is(200, moved(2)).and("etag", "\"2\""),
        move_to(3, "*").is(200, moved(3)).and("etag", "\"3\""),
        read("\"2\"").is(200, moved(3)).and("etag", "\"3\""),
        remove("\"2\"").status(412),
        get(path("tagged")).is(200, moved(3)).and("etag", "\"3\""),
        remove("\"3\"").empty(204),
        get(path("tagged")).problem(404, NOT_FOUND),
        status("tagged", "confirmed").problem(404, NOT_FOUND),
        delete(path("tagged")).problem(404, NOT_FOUND),
        create("gone", "ann"),
        delete(path("gone")).empty(204),
        get(path("gone")).problem(404, NOT_FOUND),
    ]
}

/// The request that is sent again while users is down.
pub(super) fn once() -> Row {
    let answer = post(ORDERS, draft("ann")).with("idempotency-key", "k1").is(201, order("once", "ann"));
    answer.and("etag", "\"1\"").and("location", &path("once"))
}

/// `Idempotency-Key`: of one caller and one route.
pub(super) fn keys() -> Vec<Row> {
    let keyed = |key: &str, user: &str| post(ORDERS, draft(user)).with("idempotency-key", key);
    let seller = Caller::Bearer("token-seller");
    vec![
        once(),
        once(),
        keyed("k1", "bob").status(422),
        keyed("k1", "bob").by(seller).is(201, order("sold", "bob")),
        keyed("k1", "bob").by(seller).is(201, order("sold", "bob")),
        keyed("k1", "ann").by(seller).status(422),
        keyed("k2", "ann").is(201, order("other-key", "ann")),
        delete(path("once")).empty(204),
        once(),
        get(path("once")).problem(404, NOT_FOUND),
    ]
}
