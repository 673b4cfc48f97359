//! `Idempotency-Key` on what creates users.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::kit::{PASSWORD, app, create, with};

const USERS: &str = "/api/v1/users";
const REGISTER: &str = "/api/v1/users/register";

fn john(email: &str) -> Value {
    json!({ "name": "John", "email": email })
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_is_done_once() {
    let app = app();
    let post = |key, body| with(&app, Method::POST, USERS, ("idempotency-key", key), body);
    let first = post("k1", john("john@example.com")).await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = post("k1", john("john@example.com")).await.expect(201);
    assert_eq!((again.json(), again.header("etag")), (first.json(), first.header("etag")));
    assert_eq!((again.header("location"), again.header("idempotency-replayed")), (first.header("location"), "true"));
    assert_ne!(again.header("x-correlation-id"), first.header("x-correlation-id"));
    let other_body = post("k1", john("jane@example.com")).await;
    other_body.expect_problem(422, "Idempotency-Key was used before with another body");
    post("k2", john("john@example.com")).await.expect_problem(409, "User with this email already exists");
    assert_eq!(app.get(USERS).await.header("x-total-count"), "1");
}

#[tokio::test]
async fn a_request_that_failed_can_be_mended_under_its_key() {
    let app = app();
    create(&app, "John", "john@example.com").await.expect(201);
    let post = |body| with(&app, Method::POST, USERS, ("idempotency-key", "k"), body);
    post(json!({ "name": "" })).await.expect(422);
    post(john("john@example.com")).await.expect(409);
    post(john("jane@example.com")).await.expect(201);
}

#[tokio::test]
async fn a_hundred_at_once_make_one_user_and_tell_of_no_other() {
    let app = app();
    let posts = (0..100).map(|_| with(&app, Method::POST, REGISTER, ("idempotency-key", "k"), account()));
    let answers = join_all(posts).await;
    let done: Vec<Value> = answers.iter().filter(|it| it.status == 200).map(|it| it.json()).collect();
    assert!(!done.is_empty() && done.iter().all(|answer| *answer == done[0]), "{done:?}");
    for refused in answers.into_iter().filter(|it| it.status != 200) {
        refused.expect_problem(409, "A request with this Idempotency-Key is being worked on");
    }
    let again = with(&app, Method::POST, REGISTER, ("idempotency-key", "k"), account()).await.expect(200);
    assert_eq!(again.json(), done[0]);
    assert_eq!(app.get(USERS).await.header("x-total-count"), "1");
}

#[tokio::test]
async fn a_body_that_no_value_holds_is_422_under_a_key() {
    let app = app();
    let nested = ["[".repeat(128), "]".repeat(128)].concat();
    for (number, passed_over) in ["1e999", &nested].into_iter().enumerate() {
        let body = format!("{{\"name\":\"A\",\"email\":\"{number}@example.com\",\"more\":{passed_over}}}");
        let keyed = app.request(Method::POST, USERS).header("idempotency-key", "k").body(body.clone().into()).unwrap();
        app.send(keyed).await.expect_problem(422, "Validation failed");
        app.post(USERS, body).await.expect(201);
    }
}

fn account() -> Value {
    json!({ "username": "johnny", "email": "johnny@example.com", "password": PASSWORD })
}

#[tokio::test]
async fn a_key_is_of_its_caller_and_its_route() {
    let app = app();
    let body = |email: &str| john(email).to_string();
    let (ann, bob) = (app.token("ann", &[]), app.token("bob", &[]));
    for (token, email) in [(&ann, "a@example.com"), (&bob, "b@example.com")] {
        let request = app.request(Method::POST, USERS).header("idempotency-key", "k");
        let request = request.header("authorization", format!("Bearer {token}"));
        app.send(request.body(body(email).into()).unwrap()).await.expect(201);
    }
    with(&app, Method::POST, USERS, ("idempotency-key", "k"), john("c@example.com")).await.expect(201);
    with(&app, Method::POST, REGISTER, ("idempotency-key", "k"), account()).await.expect(200);
    assert_eq!(app.get(USERS).await.header("x-total-count"), "4");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_forgotten_after_its_time() {
    let app = app();
    let post = |email: &'static str| with(&app, Method::POST, USERS, ("idempotency-key", "k"), john(email));
    post("a@example.com").await.expect(201);
    tokio::time::sleep(Duration::from_secs(700)).await;
    post("b@example.com").await.expect(422);
    app.clock.advance(Duration::from_secs(24 * 3600));
    tokio::time::sleep(Duration::from_secs(700)).await;
    post("b@example.com").await.expect(201);
}

#[tokio::test]
async fn what_is_no_key_is_400() {
    let app = app();
    let long = "k".repeat(256);
    for key in ["", "two words", &long] {
        let answer = with(&app, Method::POST, USERS, ("idempotency-key", key), john("a@example.com")).await;
        answer.expect_problem(400, "Idempotency-Key: expected one key of 1 to 255 visible ASCII characters");
    }
}
