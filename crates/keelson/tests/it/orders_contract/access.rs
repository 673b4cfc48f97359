//! Section 2.4, the access table: whose orders, every kind of caller, in production and in development.

use serde_json::{Value, json};

use super::orders::{NO_USER, NOT_FOUND, ORDERS, changed, create, draft, order, path};
use crate::contract::access::{self, answer};
use crate::contract::people::member;
use crate::contract::row::{Caller, Row, delete, get, post, put};

/// Who lets them create orders for others, as users lets them see these: `orders:write` and `users:read`.
const SELLER: Caller = Caller::Bearer("token-seller");
const WRITER: Caller = Caller::Bearer("token-writer");
const READER: Caller = Caller::Bearer("token-reader");
const DAN: Caller = Caller::Bearer("token-dan");
const EVE: Caller = Caller::Bearer("token-eve");

/// What is not found at each route.
const MISSED: [&str; 8] = [NO_USER, NOT_FOUND, NO_USER, NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND];

/// The routes as a line asks for them, about an order of its own.
fn routes(order: &str, owner: &str) -> [Row; 8] {
    let path = path(order);
    let change = |changes: Value| put(&path, changes);
    [
        post(ORDERS, draft(owner)),
        get(ORDERS),
        get(format!("{ORDERS}/user/<id-{owner}>")),
        get(&path),
        change(json!({ "shipping_address": "2 Main St" })),
        change(json!({ "status": "confirmed" })),
        change(json!({ "status": "cancelled" })),
        delete(&path),
    ]
}

/// Somebody, and the status that each route answers about an order of that owner.
struct Line {
    caller: Caller,
    owner: &'static str,
    production: [u16; 8],
    development: [u16; 8],
}

/// In the order of `routes`: create, list, list of the owner, read, move, confirm, cancel, delete.
fn lines() -> Vec<Line> {
    let open = [201, 200, 200, 200, 200, 200, 200, 204];
    let refused = [401; 8];
    let never = |caller, owner| Line { caller, owner, production: refused, development: refused };
    let line = |caller, owner, production| Line { caller, owner, production, development: open };
    vec![
        never(Caller::Bearer("token-unsigned"), "ann"),
        never(Caller::Bearer("token-forged"), "ann"),
        never(Caller::Bearer("token-foreign"), "ann"),
        line(Caller::Nobody, "ann", refused),
        line(Caller::Bearer("token-cat"), "ann", [404, 200, 404, 404, 404, 404, 404, 403]),
        line(Caller::Bearer("token-cat"), "cat", [201, 200, 200, 200, 200, 403, 200, 403]),
        line(Caller::Bearer("token-scopeless"), "ann", [404, 200, 404, 404, 404, 404, 404, 403]),
        line(READER, "ann", [404, 200, 200, 200, 404, 404, 404, 403]),
        // Users does not show it who is one.
        line(WRITER, "ann", [404, 200, 404, 404, 200, 200, 200, 204]),
        line(SELLER, "ann", [201, 200, 404, 404, 200, 200, 200, 204]),
        line(Caller::Bearer("token-entitled"), "ann", open),
    ]
}

/// Every kind of caller at every route.
pub(super) fn guarded() -> Vec<Row> {
    let mut rows = member("cat").to_vec();
    for (number, line) in lines().into_iter().enumerate() {
        let Line { caller, owner, production, development } = line;
        let order = format!("line-{number}");
        rows.push(create(&order, owner));
        for (place, row) in routes(&order, owner).into_iter().enumerate() {
            let expected = answer(production[place], caller, MISSED[place]);
            let row = Row { expected, ..row.by(caller) };
            rows.push(row.but_in_development(answer(development[place], caller, MISSED[place])));
        }
    }
    rows
}

/// In production. Dan and Eve have an account and no scope; nobody else orders for them.
pub(super) fn own() -> Vec<Row> {
    let (dans, eves) = (order("dans", "dan"), order("eves", "eve"));
    let of = |user: &str| format!("{ORDERS}?user_id=<id-{user}>");
    let of_user = |user: &str| format!("{ORDERS}/user/<id-{user}>");
    let mut rows = [member("dan"), member("eve")].concat();
    rows.extend([
        create("dans", "dan").by(DAN),
        create("eves", "eve").by(EVE),
        post(ORDERS, draft("eve")).by(DAN).problem(404, NO_USER),
        get(ORDERS).by(DAN).is(200, json!([dans])).and("x-total-count", "1"),
        get(ORDERS).by(EVE).is(200, json!([eves])).and("x-total-count", "1"),
        get(of("dan")).by(DAN).is(200, json!([dans])).and("x-total-count", "1"),
        get(of("eve")).by(DAN).is(200, json!([])).and("x-total-count", "0"),
        get(of("eve")).by(READER).is(200, json!([eves])).and("x-total-count", "1"),
        get(format!("{ORDERS}?status=pending")).by(DAN).is(200, json!([dans])),
        get(format!("{ORDERS}?status=shipped")).by(DAN).is(200, json!([])),
        get(ORDERS).by(WRITER).is(200, json!([])).and("x-total-count", "0"),
        get(of_user("dan")).by(DAN).is(200, json!([dans])),
        get(of_user("eve")).by(DAN).problem(404, NO_USER),
        get(of_user("eve")).by(READER).is(200, json!([eves])),
        get(path("dans")).by(DAN).is(200, dans).and("etag", "\"1\""),
        get(path("eves")).by(DAN).problem(404, NOT_FOUND),
        get(path("eves")).by(READER).is(200, eves),
    ]);
    rows
}

/// In production, after that: of one's own order one changes the address and cancels it before it is shipped.
pub(super) fn own_changes() -> Vec<Row> {
    let stands = |name: &str, status: &str| put(path(name), json!({ "status": status }));
    let moves = |name: &str| put(path(name), json!({ "shipping_address": "2 Main St" }));
    let moved = |status: &str| changed("dans", "dan", json!({ "status": status, "shipping_address": "2 Main St" }));
    vec![
        moves("eves").by(DAN).problem(404, NOT_FOUND),
        stands("eves", "cancelled").by(DAN).problem(404, NOT_FOUND),
        stands("eves", "cancelled").by(READER).problem(404, NOT_FOUND),
        stands("dans", "confirmed").by(DAN).status(403),
        stands("dans", "shipped").by(DAN).status(403),
        stands("dans", "delivered").by(DAN).status(403),
        moves("dans").by(DAN).is(200, moved("pending")).and("etag", "\"2\""),
        stands("dans", "confirmed").by(WRITER).is(200, moved("confirmed")).and("etag", "\"3\""),
        stands("dans", "cancelled").by(DAN).is(200, moved("cancelled")).and("etag", "\"4\""),
        stands("dans", "cancelled").by(DAN).is(200, moved("cancelled")).and("etag", "\"4\""),
        delete(path("dans")).by(DAN).status(403),
        stands("eves", "confirmed").by(WRITER).status(200),
        stands("eves", "shipped").by(WRITER).status(200),
        stands("eves", "cancelled").by(EVE).naming(409, &["shipped", "cancelled"]),
        moves("eves").by(EVE).status(409),
        delete(path("dans")).by(WRITER).empty(204),
        get(ORDERS).by(DAN).is(200, json!([])),
    ]
}

pub(super) fn in_the_other_header() -> Vec<Row> {
    access::in_the_other_header(&path("first"), 404, NOT_FOUND)
}
