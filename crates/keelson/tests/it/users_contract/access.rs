//! Section 2.4, the access table: every kind of caller at every route, in production and in development.

use reqwest::Method;
use serde_json::{Value, json};

use super::accounts::{COUNT, PROFILE};
use super::users::NOT_FOUND;
use crate::contract::access::{self, answer};
use crate::contract::people::{LOGIN, PASSWORD, REGISTER, USERS, member, somebody};
use crate::contract::row::{Caller, Row, get, post, request};

/// Who may see what without a token, in both modes.
pub(super) fn public() -> Vec<Row> {
    let mut rows = access::public(&[COUNT, "/.well-known/jwks.json"]);
    let register = json!({ "username": "public", "email": "public@example.com", "password": PASSWORD });
    let login = json!({ "username": "public", "password": PASSWORD });
    rows.extend([
        post(REGISTER, register).by(Caller::Nobody).status(200),
        post(LOGIN, login).by(Caller::Nobody).status(200),
    ]);
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

/// Every kind of caller at every route that is not public.
pub(super) fn guarded() -> Vec<Row> {
    let mut rows = member("cat").to_vec();
    rows.extend(["amy", "bob", "dan", "eve", "fay", "gus"].map(somebody));
    for (number, line) in lines().into_iter().enumerate() {
        let Line { caller, user, production, development } = line;
        let statuses = production.into_iter().zip(development);
        for (row, (production, development)) in routes(number, user).into_iter().zip(statuses) {
            let row = Row { expected: answer(production, caller, NOT_FOUND), ..row.by(caller) };
            rows.push(row.but_in_development(answer(development, caller, NOT_FOUND)));
        }
    }
    rows
}

pub(super) fn in_the_other_header() -> Vec<Row> {
    access::in_the_other_header(USERS, 403, NOT_FOUND)
}
