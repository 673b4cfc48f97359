//! Whoever is needed by the rows of a service: people with an account, and without.

use serde_json::{Value, json};

use super::row::{Caller, Row, post};

pub(crate) const USERS: &str = "/api/v1/users";
pub(crate) const REGISTER: &str = "/api/v1/users/register";
pub(crate) const LOGIN: &str = "/api/v1/users/login";
pub(crate) const PASSWORD: &str = "xK7#pq9Z-vw2";

pub(crate) fn envelope(message: &str, data: Value) -> Value {
    json!({ "success": true, "message": message, "data": data })
}

/// Creates somebody who has no password: `<id-NAME>`.
pub(crate) fn somebody(name: &str) -> Row {
    let (id, time) = (format!("<id-{name}>"), format!("<time-{name}>"));
    let email = format!("{name}@people.example");
    let created = json!({
        "id": id, "name": name, "email": email, "age": null, "created_at": time, "updated_at": time,
    });
    post(USERS, json!({ "name": name, "email": email })).at("users").is(201, created)
}

pub(crate) fn register(username: &str, email: &str, password: &str) -> Row {
    let body = json!({ "username": username, "email": email, "password": password });
    post(REGISTER, body).at("users").by(Caller::Nobody)
}

pub(crate) fn log_in(username: &str, password: &str) -> Row {
    post(LOGIN, json!({ "username": username, "password": password })).at("users").by(Caller::Nobody)
}

/// Registers somebody and logs them in: `<id-NAME>` and `<token-NAME>`.
pub(crate) fn member(name: &str) -> [Row; 2] {
    let data = json!({ "user_id": format!("<id-{name}>"), "username": name });
    let token = json!({ "access_token": format!("<token-{name}>"), "token_type": "bearer" });
    [
        register(name, &format!("{name}@example.com"), PASSWORD).is(200, envelope("User created successfully", data)),
        log_in(name, PASSWORD).is(200, token).and("cache-control", "no-store"),
    ]
}
