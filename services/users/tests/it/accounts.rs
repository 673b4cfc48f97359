//! Register, log in, profile, statistics: section 5 of the contract, seed 003.

use http::Method;
use serde_json::json;

use crate::kit::{PASSWORD, app, create, delete, log_in, member, put, register, text, with};

#[tokio::test]
async fn who_registers_can_log_in_and_see_the_profile() {
    let app = app();
    let answer = register(&app, "johnny", PASSWORD).await.expect(200).json();
    let id = text(&answer["data"]["user_id"]);
    let data = json!({ "user_id": id, "username": "johnny" });
    assert_eq!(answer, json!({ "success": true, "message": "User created successfully", "data": data }));
    let login = log_in(&app, "johnny", PASSWORD).await.expect(200);
    assert_eq!(login.header("cache-control"), "no-store");
    let login = login.json();
    assert_eq!((login.as_object().unwrap().len(), &login["token_type"]), (2, &json!("bearer")));
    let token = text(&login["access_token"]);
    for header in [("authorization", format!("Bearer {token}")), ("x-access-token", token.clone())] {
        let header = (header.0, header.1.as_str());
        let profile = with(&app, Method::GET, "/api/v1/users/profile", header, json!(null)).await.expect(200).json();
        assert_eq!((&profile["success"], &profile["data"]["user_id"]), (&json!(true), &json!(id)));
        let members: Vec<&String> = profile["data"].as_object().unwrap().keys().collect();
        assert_eq!(members, ["user_id", "username", "email", "is_active", "created_at"]);
        assert_eq!(
            (&profile["data"]["email"], &profile["data"]["is_active"]),
            (&json!("johnny@example.com"), &json!(true))
        );
    }
}

#[tokio::test]
async fn a_taken_username_or_address_is_400() {
    let app = app();
    const TEXT: &str = "User with this username or email already exists";
    register(&app, "johnny", PASSWORD).await.expect(200);
    register(&app, "JOHNNY", PASSWORD).await.expect_problem(400, TEXT);
    let body = json!({ "username": "another", "email": "Johnny@example.com", "password": PASSWORD });
    app.post("/api/v1/users/register", body.to_string()).await.expect_problem(400, TEXT);
    create(&app, "johnny", "third@example.com").await.expect(201);
}

#[tokio::test]
async fn every_mistake_of_a_registration_is_named_and_no_password_echoed() {
    let app = app();
    let long = "p".repeat(101);
    for (username, email, password, places) in [
        ("jo", "nobody", "kurz-17", &["username", "email", "password"][..]),
        ("johnny", "j@example.com", &long, &["password"]),
        ("johnny", "j@example.com", "password123", &["password"]),
        ("johnny-boy", "j@example.com", "Johnny-Boy", &["password"]),
        (&"j".repeat(51), "j@example.com", PASSWORD, &["username"]),
    ] {
        let body = json!({ "username": username, "email": email, "password": password }).to_string();
        let problem = app.post("/api/v1/users/register", body).await.expect_problem(422, "Validation failed");
        let named: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| &error["loc"][1]).collect();
        assert_eq!(named, places);
        assert!(!problem.to_string().contains(password));
    }
    for body in [json!({ "username": "johnny", "email": "j@example.com" }), json!({ "password": 12345678 })] {
        app.post("/api/v1/users/register", body.to_string()).await.expect_problem(422, "Validation failed");
    }
    assert_eq!(app.get("/api/v1/users/stats/count").await.json()["data"]["total_users"], 0);
}

#[tokio::test]
async fn the_profile_asks_for_a_token_and_its_user() {
    let app = app();
    let profile = "/api/v1/users/profile";
    app.get(profile).await.expect_problem(401, "Access token is missing");
    let (id, token) = member(&app, "johnny").await;
    app.ask_as("nonsense", Method::GET, profile, "").await.expect_problem(401, "Invalid or expired token");
    app.ask_as(&token, Method::GET, profile, "").await.expect(200);
    delete(&app, &format!("/api/v1/users/{id}")).await.expect(204);
    app.ask_as(&token, Method::GET, profile, "").await.expect_problem(401, "Invalid or expired token");
    let operator = app.token("no-user", &[]);
    app.ask_as(&operator, Method::GET, profile, "").await.expect_problem(401, "Invalid or expired token");
}

#[tokio::test]
async fn the_statistics_count_who_is_active() {
    let app = app();
    let (id, _) = member(&app, "johnny").await;
    create(&app, "Jane", "jane@example.com").await.expect(201);
    put(&app, &format!("/api/v1/users/{id}"), json!({ "is_active": false })).await.expect(200);
    let counts = app.get("/api/v1/users/stats/count").await.expect(200).json();
    assert_eq!(counts["data"], json!({ "total_users": 2, "active_users": 1, "inactive_users": 1 }));
    assert_eq!(counts["success"], true);
}

#[tokio::test]
async fn the_keys_of_tokens_are_published_and_no_secret_among_them() {
    let keys = app().get("/.well-known/jwks.json").await.expect(200);
    assert_eq!((keys.json(), keys.header("cache-control")), (json!({ "keys": [] }), "public, max-age=300"));
}

#[tokio::test]
async fn no_log_line_has_a_password_a_token_or_an_address() {
    let app = app();
    let (_, token) = member(&app, "johnny").await;
    log_in(&app, "johnny", "a wrong password").await.expect(401);
    app.ask_as(&token, Method::GET, "/api/v1/users/profile", "").await.expect(200);
    let log = app.access_log();
    for secret in [PASSWORD, "a wrong password", token.as_str(), "johnny@example.com"] {
        assert!(!log.contains(secret), "{log}");
    }
}
