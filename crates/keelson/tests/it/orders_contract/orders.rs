//! Section 6: create, read and list.

use reqwest::Method;
use serde_json::{Value, json};

use crate::contract::people::somebody;
use crate::contract::row::{Caller, Row, get, post, put, request};

pub(super) const ORDERS: &str = "/api/v1/orders";
pub(super) const NOT_FOUND: &str = "Order not found";
pub(super) const NO_USER: &str = "User not found";
pub(super) const NO_STATUS: &str = "Invalid status. Must be one of: pending, confirmed, shipped, delivered, cancelled";
pub(super) const NO_ORDER: &str = "/api/v1/orders/01975409-12ab-7000-8000-000000000000";

pub(super) fn laptop() -> Value {
    json!({ "product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99 })
}

/// What somebody of this name orders.
pub(super) fn draft(user: &str) -> Value {
    draft_of(&format!("<id-{user}>"))
}

pub(super) fn draft_of(user_id: &str) -> Value {
    json!({ "user_id": user_id, "items": [laptop()], "shipping_address": "123 Main St, City, Country" })
}

/// The order that has this name here, as it was created for somebody.
pub(super) fn order(name: &str, user: &str) -> Value {
    let time = format!("<time-{name}>");
    json!({
        "id": format!("<id-{name}>"), "user_id": format!("<id-{user}>"), "items": [laptop()],
        "shipping_address": "123 Main St, City, Country", "total_amount": 999.99, "status": "pending",
        "created_at": time, "updated_at": time,
    })
}

/// The same after changes: the time of the last one is any.
pub(super) fn changed(name: &str, user: &str, changes: Value) -> Value {
    let mut order = order(name, user);
    order["updated_at"] = json!("<time>");
    for (member, value) in changes.as_object().unwrap() {
        order[member] = value.clone();
    }
    order
}

pub(super) fn path(name: &str) -> String {
    format!("{ORDERS}/<id-{name}>")
}

/// Creates an order of this name for somebody.
pub(super) fn create(name: &str, user: &str) -> Row {
    post(ORDERS, draft(user)).is(201, order(name, user)).and("etag", "\"1\"")
}

/// On an empty store. Ann has the first order and the third, Bob the second.
pub(super) fn create_and_list() -> Vec<Row> {
    let mut extended = draft("ann");
    extended["unknown"] = json!(1);
    let [first, second, third] = [("first", "ann"), ("second", "bob"), ("third", "ann")].map(|(it, of)| order(it, of));
    let links = r#"</api/v1/orders?skip=0&limit=1>; rel="first", </api/v1/orders?skip=0&limit=1>; rel="prev", </api/v1/orders?skip=2&limit=1>; rel="next", </api/v1/orders?skip=2&limit=1>; rel="last""#;
    let all = r#"</api/v1/orders?skip=0&limit=100>; rel="first", </api/v1/orders?skip=0&limit=100>; rel="last""#;
    let page = |query: &str| get(format!("{ORDERS}?{query}"));
    vec![
        get(ORDERS).is(200, json!([])).and("x-total-count", "0"),
        somebody("ann"),
        somebody("bob"),
        somebody("nell"),
        post(ORDERS, extended).is(201, first.clone()).and("etag", "\"1\"").and("location", &path("first")),
        create("second", "bob"),
        create("third", "ann"),
        get(ORDERS).is(200, json!([first, second, third])).and("x-total-count", "3").and("link", all),
        request(Method::HEAD, ORDERS, None).empty(200).and("x-total-count", "3"),
        page("skip=1&limit=1").is(200, json!([second])).and("x-total-count", "3").and("link", links),
        page("limit=1000").is(200, json!([first, second, third])),
        page("limit=2").is(200, json!([first, second])),
        page("skip=3").is(200, json!([])).and("x-total-count", "3"),
    ]
}

/// After the same three orders.
pub(super) fn filters() -> Vec<Row> {
    let [first, second, third] = [("first", "ann"), ("second", "bob"), ("third", "ann")].map(|(it, of)| order(it, of));
    let links = r#"</api/v1/orders?user_id=<id-ann>&skip=0&limit=1>; rel="first", </api/v1/orders?user_id=<id-ann>&skip=0&limit=1>; rel="prev", </api/v1/orders?user_id=<id-ann>&skip=1&limit=1>; rel="last""#;
    let some = |query: &str| get(format!("{ORDERS}?{query}"));
    let of = |user: &str| get(format!("{ORDERS}/user/{user}"));
    vec![
        some("user_id=<id-bob>").is(200, json!([second])).and("x-total-count", "1"),
        some("user_id=<id-ann>&skip=1&limit=1").is(200, json!([third])).and("x-total-count", "2").and("link", links),
        some("status=pending").is(200, json!([first, second, third])).and("x-total-count", "3"),
        some("status=shipped").is(200, json!([])).and("x-total-count", "0"),
        some("user_id=<id-ann>&status=pending").is(200, json!([first, third])),
        some("user_id=<id-ann>&status=cancelled").is(200, json!([])),
        some("user_id=nobody").is(200, json!([])).and("x-total-count", "0"),
        some("status=lost").problem(400, NO_STATUS),
        of("<id-bob>").is(200, json!([second])).and("x-total-count", "1"),
        of("<id-ann>?skip=1&limit=1").is(200, json!([third])).and("x-total-count", "2"),
        of("<id-nell>").is(200, json!([])).and("x-total-count", "0"),
        of("nobody").is(200, json!([])),
        of("..%2F..%2F..%2Fhealth").is(200, json!([])),
    ]
}

/// Of lists that nobody can ask for, and of orders that are not there.
pub(super) fn reads() -> Vec<Row> {
    let mut rows = vec![
        get(path("first")).is(200, order("first", "ann")).and("etag", "\"1\""),
        request(Method::HEAD, path("first"), None).empty(200).and("etag", "\"1\""),
        request(Method::PATCH, ORDERS, None).problem(405, "Method Not Allowed").and("allow", "GET, HEAD, POST"),
        request(Method::POST, NO_ORDER, None).problem(405, "Method Not Allowed").and("allow", "GET, HEAD, PUT, DELETE"),
        get("/api/v1/order").problem(404, "Not Found"),
    ];
    for unknown in [NO_ORDER, "/api/v1/orders/42", "/api/v1/orders/..%2F..%2F..%2Fhealth"] {
        rows.push(get(unknown).problem(404, NOT_FOUND));
        rows.push(put(unknown, json!({ "status": "confirmed" })).problem(404, NOT_FOUND));
        rows.push(request(Method::DELETE, unknown, None).problem(404, NOT_FOUND));
    }
    for list in [ORDERS, "/api/v1/orders/user/<id-ann>"] {
        for (query, name) in
            [("limit=1001", "limit"), ("limit=-1", "limit"), ("skip=-1", "skip"), ("skip=many", "skip")]
        {
            rows.push(get(format!("{list}?{query}")).wrong_at(json!(["query", name])));
        }
    }
    rows
}

/// Users is asked who is one, and each id is one segment of the path that it is asked for.
pub(super) fn who_is_no_user() -> Vec<Row> {
    let ids = [
        "01975408-5f35-7000-8000-000000000000",
        "../../../health",
        "..",
        "",
        "stats/count",
        "profile",
        "%2e%2e/%2e%2e/health",
        "<id-ann>/../<id-ann>",
        "<id-ann>?x=1#y",
    ];
    let mut rows: Vec<Row> = ids.map(|id| post(ORDERS, draft_of(id)).problem(404, NO_USER)).to_vec();
    rows.push(get(ORDERS).status(200).and("x-total-count", "3"));
    rows
}

/// Which services orders says that it stands on.
pub(super) fn ready(status: &str, users: &str) -> Row {
    let dependency = |status: &str| json!({ "status": status, "latency_ms": "<any>" });
    let dependencies = json!({
        "analytics-service": dependency("up"), "store": dependency("up"), "user-service": dependency(users),
    });
    let body = json!({
        "status": status, "service": "order-service", "version": "<text>", "timestamp": "<time>",
        "dependencies": dependencies,
    });
    get("/health/ready").by(Caller::Nobody).is(200, body).in_time()
}
