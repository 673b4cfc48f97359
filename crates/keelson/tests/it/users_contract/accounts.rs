//! Section 5, seed 003: register, log in, profile, statistics.

use reqwest::Method;
use serde_json::json;

use super::users::CONFLICT;
use crate::contract::people::{LOGIN, PASSWORD, REGISTER, USERS, envelope, log_in, member, register};
use crate::contract::row::{Caller, Row, get, post, put, request};

pub(super) const PROFILE: &str = "/api/v1/users/profile";
pub(super) const COUNT: &str = "/api/v1/users/stats/count";
const TAKEN: &str = "User with this username or email already exists";
const REFUSED: &str = "Incorrect username or password";

/// On an empty store, but for whoever is created here.
pub(super) fn count() -> Vec<Row> {
    let counted = |total: u8, active: u8, inactive: u8| {
        let data = json!({ "total_users": total, "active_users": active, "inactive_users": inactive });
        get(COUNT).by(Caller::Nobody).is(200, envelope("User statistics retrieved successfully", data))
    };
    let adam = |active: bool| put("/api/v1/users/<id-adam>", json!({ "is_active": active })).status(200);
    vec![counted(3, 3, 0), adam(false), counted(3, 2, 1), adam(true), counted(3, 3, 0)]
}

pub(super) fn register_and_log_in() -> Vec<Row> {
    let again = |username: &str, email: &str| register(username, email, PASSWORD).problem(400, TAKEN);
    let created = json!({ "name": "created", "email": "created@example.com" });
    let active = |active: bool| put("/api/v1/users/<id-annie>", json!({ "is_active": active })).status(200);
    let mut rows = member("annie").to_vec();
    rows.extend([
        again("annie", "other@example.com"),
        again("ANNIE", "other@example.com"),
        again("other", "annie@example.com"),
        again("other", "Annie@EXAMPLE.com"),
        post(USERS, json!({ "name": "x", "email": "ANNIE@example.com" })).problem(409, CONFLICT),
        post(USERS, created).status(201),
        again("other", "created@example.com"),
        log_in("created", PASSWORD).problem(401, REFUSED),
        log_in("annie", "another password").problem(401, REFUSED),
        log_in("nobody", PASSWORD).problem(401, REFUSED),
        log_in("ANNIE", PASSWORD).status(200),
        active(false),
        log_in("annie", PASSWORD).problem(401, REFUSED),
        active(true),
        log_in("annie", PASSWORD).status(200),
    ]);
    rows
}

pub(super) fn mistakes() -> Vec<Row> {
    let name = |length: usize| "u".repeat(length);
    let at = |name: &str| format!("{name}@example.com");
    let password = |length: usize| "xK7#pq9Z".repeat(13)[..length].to_owned();
    let raw = |path: &str, body: &str| request(Method::POST, path, Some(body.to_owned())).by(Caller::Nobody);
    vec![
        register(&name(3), &at("three"), &password(8)).status(200),
        log_in(&name(3), &password(8)).status(200),
        register(&name(50), &at("fifty"), &password(100)).status(200),
        log_in(&name(50), &password(100)).status(200),
        register(&name(2), &at("n"), PASSWORD).wrong(&["username"]),
        register(&name(51), &at("n"), PASSWORD).wrong(&["username"]),
        register("nobody", "nobody", PASSWORD).wrong(&["email"]),
        register("nobody", &at("n"), &password(7)).wrong(&["password"]),
        register("nobody", &at("n"), &password(101)).wrong(&["password"]),
        register("n", "n", "n").wrong(&["username", "email", "password"]),
        post(REGISTER, json!({ "email": "n@example.com", "password": PASSWORD })).wrong(&["username"]),
        post(LOGIN, json!({ "username": "annie" })).wrong(&["password"]),
        post(LOGIN, json!({ "username": null, "password": PASSWORD })).wrong(&["username"]),
        raw(REGISTER, "{").wrong_at(json!(["body"])),
        raw(LOGIN, "[]").wrong_at(json!(["body"])),
    ]
}

pub(super) fn profile() -> Vec<Row> {
    let data = json!({
        "user_id": "<id-annie>", "username": "annie", "email": "annie@example.com", "is_active": true,
        "created_at": "<time-annie>",
    });
    let shown = envelope("Profile retrieved successfully", data);
    let read = json!({
        "id": "<id-annie>", "name": "annie", "email": "annie@example.com", "age": null,
        "created_at": "<time-annie>", "updated_at": "<time>",
    });
    vec![
        get(PROFILE).by(Caller::Bearer("token-annie")).is(200, shown.clone()),
        get(PROFILE).by(Caller::Nobody).with("x-access-token", "<token-annie>").is(200, shown),
        get(PROFILE).by(Caller::Nobody).problem(401, "Access token is missing"),
        get(PROFILE).by(Caller::Bearer("token-forged")).problem(401, "Invalid or expired token"),
        get("/api/v1/users/<id-annie>").is(200, read),
    ]
}
