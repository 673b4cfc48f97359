//! Section 5, seed 004: create, list, read, change and delete; conditions and keys of requests.

use reqwest::Method;
use serde_json::{Value, json};

use crate::contract::people::USERS;
use crate::contract::row::{Caller, Row, delete, get, post, put, request};

pub(super) const CONFLICT: &str = "User with this email already exists";
pub(super) const NOT_FOUND: &str = "User not found";
const JOHN: &str = "/api/v1/users/<id-john>";
const JANE: &str = "/api/v1/users/<id-jane>";
const NO_USER: &str = "/api/v1/users/01975408-5f35-7000-8000-000000000000";

/// A user of this name, as it was created.
fn user(name: &str, age: Option<u8>) -> Value {
    let (id, time) = (format!("<id-{name}>"), format!("<time-{name}>"));
    let email = format!("{name}@example.com");
    json!({ "id": id, "name": name, "email": email, "age": age, "created_at": time, "updated_at": time })
}

/// The same after changes: the time of the last one is any.
fn changed(name: &str, changes: Value) -> Value {
    let mut user = user(name, Some(30));
    user["updated_at"] = json!("<time>");
    for (member, value) in changes.as_object().unwrap() {
        user[member] = value.clone();
    }
    user
}

fn draft(email: &str) -> Value {
    json!({ "name": "Somebody", "email": email })
}

/// On an empty store.
pub(super) fn create_and_list() -> Vec<Row> {
    let (john, adam, jane) = (user("john", Some(30)), user("adam", None), user("jane", Some(30)));
    let body = |name: &str| json!({ "name": name, "email": format!("{name}@example.com"), "age": 30, "unknown": 1 });
    let links = r#"</api/v1/users?skip=0&limit=1>; rel="first", </api/v1/users?skip=0&limit=1>; rel="prev", </api/v1/users?skip=2&limit=1>; rel="next", </api/v1/users?skip=2&limit=1>; rel="last""#;
    let all = r#"</api/v1/users?skip=0&limit=100>; rel="first", </api/v1/users?skip=0&limit=100>; rel="last""#;
    let of_query = |query: &str, name: &str| get(format!("{USERS}?{query}")).wrong_at(json!(["query", name]));
    vec![
        get(USERS).is(200, json!([])).and("x-total-count", "0"),
        post(USERS, body("john")).is(201, john.clone()).and("location", JOHN).and("etag", "\"1\""),
        post(USERS, json!({ "name": "adam", "email": "adam@example.com" })).is(201, adam.clone()),
        post(USERS, body("jane")).is(201, jane.clone()),
        post(USERS, body("john")).problem(409, CONFLICT),
        post(USERS, draft("JOHN@Example.COM")).problem(409, CONFLICT),
        get(USERS).is(200, json!([john, adam, jane])).and("x-total-count", "3").and("link", all),
        get(format!("{USERS}?skip=1&limit=1")).is(200, json!([adam])).and("x-total-count", "3").and("link", links),
        get(format!("{USERS}?limit=1000")).is(200, json!([john, adam, jane])),
        get(format!("{USERS}?skip=3")).is(200, json!([])).and("x-total-count", "3"),
        of_query("limit=1001", "limit"),
        of_query("limit=-1", "limit"),
        of_query("skip=-1", "skip"),
        of_query("skip=many", "skip"),
        request(Method::HEAD, USERS, None).empty(200).and("x-total-count", "3"),
    ]
}

pub(super) fn bounds() -> Vec<Row> {
    let create = |name: Value, email: Value, age: Value| {
        post(USERS, json!({ "name": name, "email": email, "age": age, "note": "passed over" }))
    };
    let named = |length: usize, email: &str| create(json!("n".repeat(length)), json!(email), Value::Null);
    let aged = |age: Value, email: &str| create(json!("Aged"), json!(email), age);
    let at = |email: &str| create(json!("Somebody"), json!(email), Value::Null);
    let raw = |body: &str| request(Method::POST, USERS, Some(body.to_owned())).wrong_at(json!(["body"]));
    vec![
        named(1, "name-1@example.com").status(201),
        named(200, "name-200@example.com").status(201),
        named(0, "n@example.com").wrong(&["name"]),
        named(201, "n@example.com").wrong(&["name"]),
        create(Value::Null, json!("n@example.com"), Value::Null).wrong(&["name"]),
        create(json!(7), json!("n@example.com"), Value::Null).wrong(&["name"]),
        aged(json!(0), "age-0@example.com").status(201),
        aged(json!(150), "age-150@example.com").status(201),
        aged(json!(-1), "n@example.com").wrong(&["age"]),
        aged(json!(151), "n@example.com").wrong(&["age"]),
        aged(json!("30"), "n@example.com").wrong(&["age"]),
        aged(json!(30.5), "n@example.com").wrong(&["age"]),
        at("nobody").wrong(&["email"]),
        at("a b@example.com").wrong(&["email"]),
        at("@example.com").wrong(&["email"]),
        create(json!("Somebody"), Value::Null, Value::Null).wrong(&["email"]),
        post(USERS, json!({ "name": "", "email": "nobody", "age": 151 })).wrong(&["name", "email", "age"]),
        post(USERS, json!({ "email": "n@example.com" })).wrong(&["name"]),
        raw("{"),
        raw("[]"),
        raw("null"),
        raw(""),
        post(USERS, json!({ "name": "n".repeat(3 << 20) })).problem(413, "Payload too large"),
    ]
}

pub(super) fn read_and_change() -> Vec<Row> {
    let of_john = |changes: Value| put(JOHN, changes);
    vec![
        get(JOHN).is(200, user("john", Some(30))).and("etag", "\"1\""),
        request(Method::HEAD, JOHN, None).empty(200).and("etag", "\"1\""),
        get(NO_USER).problem(404, NOT_FOUND),
        get("/api/v1/users/42").problem(404, NOT_FOUND),
        get("/api/v1/users/..%2F..%2Fhealth").problem(404, NOT_FOUND),
        put(NO_USER, json!({ "age": 1 })).problem(404, NOT_FOUND),
        of_john(json!({ "age": 31 })).is(200, changed("john", json!({ "age": 31 }))).and("etag", "\"2\""),
        of_john(json!({ "name": "Jon", "unknown": 1 })).is(200, changed("john", json!({ "name": "Jon", "age": 31 }))),
        of_john(json!({ "age": null })).is(200, changed("john", json!({ "name": "Jon", "age": null }))),
        of_john(json!({ "name": "john", "age": 30 })).is(200, changed("john", json!({}))),
        of_john(json!({ "email": "JANE@example.com" })).problem(409, "Email already in use"),
        of_john(json!({ "email": "John@Example.com" }))
            .is(200, changed("john", json!({ "email": "John@Example.com" }))),
        of_john(json!({ "email": "john@example.com" })).is(200, changed("john", json!({}))),
        of_john(json!({ "name": null })).wrong(&["name"]),
        of_john(json!({ "email": null })).wrong(&["email"]),
        of_john(json!({ "is_active": null })).wrong(&["is_active"]),
        of_john(json!({ "name": "" })).wrong(&["name"]),
        of_john(json!({ "name": "n".repeat(201) })).wrong(&["name"]),
        of_john(json!({ "email": "nobody" })).wrong(&["email"]),
        of_john(json!({ "age": 151 })).wrong(&["age"]),
        of_john(json!({ "age": -1 })).wrong(&["age"]),
        of_john(json!([])).wrong_at(json!(["body"])),
        get(format!("{USERS}?limit=3")).is(
            200,
            json!([changed("john", json!({})), changed("adam", json!({ "age": null })), user("jane", Some(30))]),
        ),
    ]
}

/// Jane is in her first version.
pub(super) fn conditions_and_deletion() -> Vec<Row> {
    let if_match = |row: Row, tag: &str| row.with("if-match", tag);
    let if_none_match = |tag: &str| get(JANE).with("if-none-match", tag);
    let older = || put(JANE, json!({ "age": 40 }));
    vec![
        if_none_match("\"1\"").empty(304).and("etag", "\"1\""),
        if_none_match("\"7\", W/\"1\"").empty(304),
        if_none_match("*").empty(304),
        if_none_match("\"2\"").is(200, user("jane", Some(30))),
        if_match(older(), "\"2\"").status(412),
        if_match(older(), "W/\"1\"").status(412),
        if_match(older(), "\"1\"").is(200, changed("jane", json!({ "age": 40 }))).and("etag", "\"2\""),
        if_match(older(), "*").status(200).and("etag", "\"3\""),
        if_match(delete(JANE), "\"2\"").status(412),
        get(JANE).is(200, changed("jane", json!({ "age": 40 }))),
        if_match(delete(JANE), "\"3\"").empty(204),
        get(JANE).problem(404, NOT_FOUND),
        put(JANE, json!({ "age": 1 })).problem(404, NOT_FOUND),
        delete(JANE).problem(404, NOT_FOUND),
        delete("/api/v1/users/<id-adam>").empty(204),
        delete(NO_USER).problem(404, NOT_FOUND),
        post(USERS, draft("Jane@example.com")).status(201),
    ]
}

/// `Idempotency-Key`: of one caller and one route.
pub(super) fn keys() -> Vec<Row> {
    const REGISTER: &str = "/api/v1/users/register";
    let create = |email: &str| post(USERS, draft(email)).with("idempotency-key", "k1");
    let account = |name: &str| {
        let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": "xK7#pq9Z-vw2" });
        post(REGISTER, body).by(Caller::Nobody).with("idempotency-key", "k1")
    };
    let mut once = user("once", None);
    once["name"] = json!("Somebody");
    let done = json!({ "user_id": "<id-keyed>", "username": "keyed" });
    let done = json!({ "success": true, "message": "User created successfully", "data": done });
    let location = "/api/v1/users/<id-once>";
    vec![
        create("once@example.com").is(201, once.clone()).and("location", location).and("etag", "\"1\""),
        create("once@example.com").is(201, once.clone()).and("location", location).and("etag", "\"1\""),
        create("other@example.com").status(422),
        create("other@example.com").by(Caller::Bearer("token-writer")).status(201),
        create("once@example.com").by(Caller::Bearer("token-writer")).status(422),
        account("keyed").is(200, done.clone()),
        account("keyed").is(200, done),
        account("lost").status(422),
        post(USERS, draft("once@example.com")).with("idempotency-key", "k2").problem(409, CONFLICT),
        delete(location).empty(204),
        create("once@example.com").is(201, once),
        get(location).problem(404, NOT_FOUND),
    ]
}
