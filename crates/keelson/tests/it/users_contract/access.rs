//! Section 2.4, the access table: every kind of caller at every route, in production and in development.

use reqwest::Method;
use serde_json::{Value, json};

use super::accounts::{COUNT, LOGIN, PASSWORD, PROFILE, REGISTER, member};
use super::row::{Caller, Expected, Row, get, post, request};
use super::users::{NOT_FOUND, USERS};

const MISSING: &str = "Access token is missing";
const BAD: &str = "Invalid or expired token";

/// Who may see what without a token, in both modes; and what belongs to operators.
pub(super) fn public() -> Vec<Row> {
    let open = ["/", "/health", "/health/live", "/health/ready", "/ready", "/docs", "/openapi.json", COUNT];
    let open = open.into_iter().chain(["/.well-known/jwks.json"]);
    let mut rows: Vec<Row> = open.map(|path| get(path).by(Caller::Nobody).status(200)).collect();
    let register = json!({ "username": "public", "email": "public@example.com", "password": PASSWORD });
    let login = json!({ "username": "public", "password": PASSWORD });
    rows.extend([
        post(REGISTER, register).by(Caller::Nobody).status(200),
        post(LOGIN, login).by(Caller::Nobody).status(200),
    ]);
    // In production they are on the listener of operators.
    for path in ["/metrics", "/status"] {
        let here = get(path).problem(404, "Not Found").but_in_development(Expected::of(200, None));
        rows.push(here);
    }
    rows
}

/// The routes as a line asks for them.
fn routes(line: usize, user: &str) -> [Row; 7] {
    let path = format!("/api/v1/users/<id-{user}>");
    // An address of its own for each creation.
    let created = json!({ "name": "New", "email": format!("new-{line}@example.com") });
    let put = |changes: Value| request(Method::PUT, &path, Some(changes.to_string()));
    [
        post(USERS, created),
        get(USERS),
        get(&path),
        put(json!({ "age": 31 })),
        put(json!({ "is_active": true })),
        get(PROFILE),
        request(Method::DELETE, &path, None),
    ]
}

/// Somebody, and the status that each route answers about a user.
struct Line {
    caller: Caller,
    user: &'static str,
    production: [u16; 7],
    development: [u16; 7],
}

/// In the order of `routes`: create, list, read, change, activate, profile, delete. A line leaves nobody behind that a
/// later one asks for.
fn lines() -> Vec<Line> {
    let line = |caller, user, production, development| Line { caller, user, production, development };
    let by = Caller::Bearer;
    let refused = [401; 7];
    vec![
        line(by("token-unsigned"), "bob", refused, refused),
        line(by("token-forged"), "bob", refused, refused),
        line(by("token-foreign"), "bob", refused, refused),
        line(Caller::Nobody, "amy", refused, [201, 200, 200, 200, 200, 401, 204]),
        line(by("token-cat"), "bob", [403, 403, 404, 404, 404, 200, 403], [201, 200, 200, 200, 200, 200, 204]),
        line(by("token-cat"), "cat", [403, 403, 200, 200, 403, 200, 403], [201, 200, 200, 200, 200, 200, 204]),
        line(by("token-scopeless"), "dan", [403, 403, 404, 404, 404, 401, 403], [201, 200, 200, 200, 200, 401, 204]),
        line(by("token-reader"), "eve", [403, 200, 200, 404, 404, 401, 403], [201, 200, 200, 200, 200, 401, 204]),
        line(by("token-writer"), "fay", [201, 403, 404, 200, 200, 401, 204], [201, 200, 200, 200, 200, 401, 204]),
        line(by("token-entitled"), "gus", [201, 200, 200, 200, 200, 401, 204], [201, 200, 200, 200, 200, 401, 204]),
    ]
}

/// What the contract answers with a status; it has no text for a missing scope.
fn answer(status: u16, caller: Caller) -> Expected {
    let text = match (status, caller) {
        (401, Caller::Nobody) => Some(MISSING),
        (401, _) => Some(BAD),
        (404, _) => Some(NOT_FOUND),
        _ => None,
    };
    Expected::of(status, text)
}

/// Every kind of caller at every route that is not public.
pub(super) fn guarded() -> Vec<Row> {
    let mut rows = member("cat").to_vec();
    for name in ["amy", "bob", "dan", "eve", "fay", "gus"] {
        let body = json!({ "name": name, "email": format!("{name}@guarded.example") });
        rows.push(post(USERS, body.clone()).is(201, created(name, &body)));
    }
    for (number, line) in lines().into_iter().enumerate() {
        let Line { caller, user, production, development } = line;
        let statuses = production.into_iter().zip(development);
        for (row, (production, development)) in routes(number, user).into_iter().zip(statuses) {
            let row = Row { expected: answer(production, caller), ..row.by(caller) };
            rows.push(row.but_in_development(answer(development, caller)));
        }
    }
    rows
}

fn created(name: &str, body: &Value) -> Value {
    let (id, time) = (format!("<id-{name}>"), format!("<time-{name}>"));
    json!({
        "id": id, "name": body["name"], "email": body["email"], "age": null, "created_at": time, "updated_at": time,
    })
}

/// The header of seed 003 in place of `Authorization`.
pub(super) fn in_the_other_header() -> Vec<Row> {
    let list = |token: &str| get(USERS).by(Caller::Nobody).with("x-access-token", token);
    vec![
        list("<token-reader>").status(200),
        list("<token-scopeless>").status(403).but_in_development(Expected::of(200, None)),
        list("<token-forged>").problem(401, BAD),
        list("nonsense").problem(401, BAD),
    ]
}
