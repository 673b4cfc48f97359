//! Section 6: each status after each status.

use serde_json::{Value, json};

use super::orders::{NO_STATUS, changed, create, order, path};
use crate::contract::row::{Row, get, put};

const ALL: [&str; 5] = ["pending", "confirmed", "shipped", "delivered", "cancelled"];
const LEGAL: [(&str, &str); 5] = [
    ("pending", "confirmed"),
    ("confirmed", "shipped"),
    ("shipped", "delivered"),
    ("pending", "cancelled"),
    ("confirmed", "cancelled"),
];

/// What leads from a new order to one that stands there.
fn way_to(status: &str) -> &'static [&'static str] {
    match status {
        "confirmed" => &["confirmed"],
        "shipped" => &["confirmed", "shipped"],
        "delivered" => &["confirmed", "shipped", "delivered"],
        "cancelled" => &["cancelled"],
        _ => &[],
    }
}

/// The order with the time at which it came to stand there.
fn standing(name: &str, status: &str) -> Value {
    match status {
        "pending" => order(name, "ann"),
        status => changed(name, "ann", json!({ "status": status, "updated_at": format!("<time-{name}-{status}>") })),
    }
}

/// An order that stands there, its change, and what is left of it.
fn pair(from: &'static str, to: &'static str) -> Vec<Row> {
    let name = format!("{from}-{to}");
    let version = |changes: usize| format!("\"{}\"", changes + 1);
    let step = |status: &str| put(path(&name), json!({ "status": status }));
    let changes = way_to(from).len();
    let mut rows = vec![create(&name, "ann")];
    for (number, status) in way_to(from).iter().enumerate() {
        rows.push(step(status).is(200, standing(&name, status)).and("etag", &version(number + 1)));
    }
    let (end, changes) = match LEGAL.contains(&(from, to)) {
        true => (to, changes + 1),
        false => (from, changes),
    };
    let asked = match end == to {
        true => step(to).is(200, standing(&name, end)).and("etag", &version(changes)),
        false => step(to).naming(409, &[from, to]),
    };
    rows.push(asked);
    rows.push(get(path(&name)).is(200, standing(&name, end)).and("etag", &version(changes)));
    rows
}

pub(super) fn all_pairs() -> Vec<Row> {
    ALL.into_iter().flat_map(|from| ALL.into_iter().flat_map(move |to| pair(from, to))).collect()
}

pub(super) fn no_statuses() -> Vec<Row> {
    let to = |status: Value| put(path("stays"), json!({ "status": status }));
    let mut rows = vec![create("stays", "ann")];
    rows.extend(["lost", "", "Shipped", " pending"].map(|it| to(json!(it)).problem(400, NO_STATUS)));
    rows.extend([Value::Null, json!(1), json!(["pending"])].map(|it| to(it).wrong(&["status"])));
    rows.push(get(path("stays")).is(200, order("stays", "ann")).and("etag", "\"1\""));
    rows
}
