//! Create, list, read, change and delete: section 5 of the contract, seed 004.

use std::time::Duration;

use chassis::testing::TestApp;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::kit::{app, create, delete, member, put, text, with};

async fn created(app: &TestApp, name: &str, email: &str) -> Value {
    create(app, name, email).await.expect(201).json()
}

fn path(user: &Value) -> String {
    format!("/api/v1/users/{}", text(&user["id"]))
}

fn wrong(problem: &Value) -> Vec<String> {
    let name = |error: &Value| text(error["loc"].as_array().unwrap().last().unwrap());
    problem["errors"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn a_user_is_created_whole_and_reads_back_the_same() {
    let app = app();
    let answer = create(&app, "John Doe", "john.doe@example.com").await.expect(201);
    let user = answer.json();
    let members: Vec<&String> = user.as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "name", "email", "age", "created_at", "updated_at"]);
    assert_eq!(
        (&user["name"], &user["email"], &user["age"]),
        (&json!("John Doe"), &json!("john.doe@example.com"), &json!(30))
    );
    assert!(text(&user["created_at"]).ends_with('Z') && user["created_at"] == user["updated_at"]);
    assert_eq!((answer.header("location"), answer.header("etag")), (path(&user).as_str(), "\"1\""));
    let read = app.get(&path(&user)).await.expect(200);
    assert_eq!((read.json(), read.header("etag")), (user, "\"1\""));
    let ageless = app.post("/api/v1/users", r#"{"name":"A","email":"a@example.com"}"#).await.expect(201).json();
    assert_eq!(ageless["age"], Value::Null);
}

#[tokio::test]
async fn what_breaks_a_rule_is_422_with_every_place() {
    let app = app();
    let long = "x".repeat(201);
    for (body, places) in [
        (json!({ "name": "", "email": "nobody", "age": 151 }), &["name", "email", "age"][..]),
        (json!({ "name": long, "email": "a@example.com", "age": -1 }), &["name", "age"]),
        (json!({ "name": "nul\0", "email": "a@example.com" }), &["name"]),
        (json!({ "name": "A", "email": "a\0@example.com" }), &["email"]),
        (json!({ "name": "A", "email": "a@localhost" }), &["email"]),
        (json!({ "name": 1, "email": "a@example.com" }), &["name"]),
        (json!({ "name": null, "email": "a@example.com" }), &["name"]),
        (json!({ "name": "A", "email": "a@example.com", "age": "30" }), &["age"]),
        (json!({ "name": "A", "email": "a@example.com", "age": 30.5 }), &["age"]),
        (json!({ "name": "x".repeat(1 << 20), "email": "a@example.com" }), &["name"]),
    ] {
        let problem = app.post("/api/v1/users", body.to_string()).await.expect_problem(422, "Validation failed");
        assert_eq!(wrong(&problem), places);
        assert!(problem.to_string().len() < 1500, "the input is not echoed");
    }
    for body in ["", "{", "[]", r#"["A","a@example.com",30]"#, "null", "\"text\"", "{} {}"] {
        let problem = app.post("/api/v1/users", body).await.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"][0], "body", "{body}");
    }
    assert_eq!(app.get("/api/v1/users").await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn an_address_is_taken_whatever_its_case() {
    let app = app();
    created(&app, "John", "John@Example.com").await;
    create(&app, "Other", "john@EXAMPLE.com").await.expect_problem(409, "User with this email already exists");
    let jane = created(&app, "Jane", "jane@example.com").await;
    put(&app, &path(&jane), json!({ "email": "JOHN@example.com" })).await.expect_problem(409, "Email already in use");
    put(&app, &path(&jane), json!({ "email": "JANE@example.com" })).await.expect(200);
}

#[tokio::test]
async fn of_a_hundred_creates_at_once_one_succeeds() {
    let app = app();
    let creates = (0..100).map(|number| {
        let email = if number % 2 == 0 { "one@example.com" } else { "ONE@example.com" };
        create(&app, "One", email)
    });
    let mut statuses: Vec<u16> = join_all(creates).await.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 99][..]));
}

#[tokio::test]
async fn a_list_is_a_bare_array_in_pages() {
    let app = app();
    for number in 0..5 {
        created(&app, &format!("User {number}"), &format!("{number}@example.com")).await;
        app.clock.advance(Duration::from_micros(1));
    }
    let names =
        |answer: Value| -> Vec<String> { answer.as_array().unwrap().iter().map(|user| text(&user["name"])).collect() };
    let all = app.get("/api/v1/users").await.expect(200);
    assert_eq!((names(all.json()).len(), all.header("x-total-count")), (5, "5"));
    let page = app.get("/api/v1/users?skip=1&limit=2").await.expect(200);
    assert_eq!(names(page.json()), ["User 1", "User 2"]);
    assert!(page.header("link").contains("</api/v1/users?skip=3&limit=2>; rel=\"next\""), "{}", page.header("link"));
    for query in ["skip=-1", "limit=-1", "limit=1001", "limit=ten"] {
        let problem = app.get(&format!("/api/v1/users?{query}")).await.expect_problem(422, "Validation failed");
        assert_eq!(problem["errors"][0]["loc"][0], "query", "{query}");
    }
}

#[tokio::test]
async fn an_unknown_user_is_404_whatever_stands_in_the_path() {
    let app = app();
    for id in ["01975408-5f35-7000-8000-000000000000", "42", "..%2F..%2Fhealth", "%00", "%F0%9F%A6%80", "'--"] {
        let path = format!("/api/v1/users/{id}");
        app.get(&path).await.expect_problem(404, "User not found");
        put(&app, &path, json!({})).await.expect_problem(404, "User not found");
        delete(&app, &path).await.expect_problem(404, "User not found");
    }
}

#[tokio::test]
async fn a_change_changes_what_it_names() {
    let app = app();
    let user = created(&app, "John", "john@example.com").await;
    app.clock.advance(Duration::from_secs(1));
    let changed = put(&app, &path(&user), json!({ "name": "Jane", "unknown": 1 })).await.expect(200);
    assert_eq!(changed.header("etag"), "\"2\"");
    let changed = changed.json();
    assert_eq!((&changed["name"], &changed["email"], &changed["age"]), (&json!("Jane"), &user["email"], &json!(30)));
    assert!(changed["created_at"] == user["created_at"] && text(&changed["updated_at"]) > text(&user["updated_at"]));
    assert_eq!(put(&app, &path(&user), json!({ "age": null })).await.expect(200).json()["age"], Value::Null);
    assert_eq!(app.get(&path(&user)).await.expect(200).json()["name"], "Jane");
}

#[tokio::test]
async fn a_bad_change_is_422_and_the_list_still_works() {
    let app = app();
    let user = created(&app, "John", "john@example.com").await;
    for body in [
        json!({ "name": null }),
        json!({ "email": null }),
        json!({ "is_active": null }),
        json!({ "name": "" }),
        json!({ "email": "nobody" }),
        json!({ "age": 151 }),
        json!({ "is_active": "yes" }),
    ] {
        put(&app, &path(&user), body.clone()).await.expect_problem(422, "Validation failed");
        assert_eq!(app.get("/api/v1/users").await.expect(200).json(), json!([user]), "{body}");
    }
}

#[tokio::test]
async fn a_change_or_deletion_of_another_state_is_412() {
    let app = app();
    let user = created(&app, "John", "john@example.com").await;
    let path = path(&user);
    let if_match = |method, tag: &'static str| with(&app, method, &path, ("if-match", tag), json!({ "name": "Jane" }));
    const TEXT: &str = "Changed meanwhile: read it again, and use its new ETag in If-Match";
    if_match(Method::PUT, "\"2\"").await.expect_problem(412, TEXT);
    if_match(Method::PUT, "\"7\", \"1\"").await.expect(200);
    if_match(Method::PUT, "\"1\"").await.expect_problem(412, TEXT);
    if_match(Method::DELETE, "\"1\"").await.expect_problem(412, TEXT);
    let known = with(&app, Method::GET, &path, ("if-none-match", "\"2\""), Value::Null).await.expect(304);
    assert_eq!((known.body.len(), known.header("etag")), (0, "\"2\""));
    with(&app, Method::GET, &path, ("if-none-match", "\"1\""), Value::Null).await.expect(200);
    if_match(Method::DELETE, "\"2\"").await.expect(204);
    if_match(Method::DELETE, "\"2\"").await.expect_problem(404, "User not found");
}

#[tokio::test]
async fn changes_at_once_all_happen() {
    let app = app();
    let user = created(&app, "John", "john@example.com").await;
    let path = path(&user);
    let changes = (0..5).map(|age| put(&app, &path, json!({ "age": age })));
    for answer in join_all(changes).await {
        answer.expect(200);
    }
    assert_eq!(app.get(&path).await.header("etag"), "\"6\"");
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_its_address_free() {
    let app = app();
    let user = created(&app, "John", "john@example.com").await;
    let gone = delete(&app, &path(&user)).await.expect(204);
    assert!(gone.body.is_empty());
    app.get(&path(&user)).await.expect_problem(404, "User not found");
    delete(&app, &path(&user)).await.expect_problem(404, "User not found");
    created(&app, "John", "JOHN@example.com").await;
}

#[tokio::test]
async fn the_name_of_a_registered_user_is_the_username() {
    let app = app();
    let (ann, _) = member(&app, "ann-marie").await;
    member(&app, "bobby").await;
    let path = format!("/api/v1/users/{ann}");
    assert_eq!(app.get(&path).await.expect(200).json()["name"], "ann-marie");
    put(&app, &path, json!({ "name": "BOBBY" })).await.expect_problem(409, "Username already in use");
    put(&app, &path, json!({ "name": "ab" })).await.expect_problem(422, "Validation failed");
    put(&app, &path, json!({ "name": "anna" })).await.expect(200);
    crate::kit::log_in(&app, "ANNA", crate::kit::PASSWORD).await.expect(200);
    crate::kit::log_in(&app, "ann-marie", crate::kit::PASSWORD).await.expect(401);
}

#[tokio::test]
async fn a_wrong_method_is_told_all_that_are_right() {
    let app = app();
    for (path, right) in [
        ("/api/v1/users", &["GET", "HEAD", "POST"][..]),
        ("/api/v1/users/42", &["GET", "HEAD", "PUT", "DELETE"]),
        ("/api/v1/users/login", &["POST"]),
    ] {
        let answer = with(&app, Method::PATCH, path, ("accept", "*/*"), Value::Null).await.expect(405);
        let allowed: std::collections::BTreeSet<&str> = answer.header("allow").split(',').map(str::trim).collect();
        assert_eq!(allowed, right.iter().copied().collect(), "{path}");
    }
}
