//! Users in the whole product: the examples of seeds 003 and 004, keys and tokens, and what survives a kill.

use reqwest::Method;
use serde_json::{Value, json};

use crate::launch::{Launch, STRONG_TOKEN};
use crate::postgres::Site;
use crate::production::serve;
use crate::system::{Answer, System, eventually};

const PASSWORD: &str = "correct horse battery";
const STRONG_KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";

async fn post(system: &System, path: &str, body: Value) -> Answer {
    Answer::of(system.post("users", path).json(&body)).await
}

async fn get(system: &System, path: &str, token: &str) -> Answer {
    Answer::of(system.get("users", path).bearer_auth(token)).await
}

async fn log_in(system: &System, username: &str) -> Answer {
    post(system, "/api/v1/users/login", json!({ "username": username, "password": PASSWORD })).await
}

/// Registers somebody; answers the id and a token.
async fn account(system: &System, username: &str) -> (String, String) {
    let body = json!({ "username": username, "email": format!("{username}@example.com"), "password": PASSWORD });
    let registered = post(system, "/api/v1/users/register", body).await;
    assert_eq!(registered.status, 200, "{registered:?}");
    let token = log_in(system, username).await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&registered.json()["data"]["user_id"]), text(&token["access_token"]))
}

fn printed(launch: &Launch) -> String {
    let output = launch.run();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_seeds_examples_work_and_what_was_answered_outlives_a_kill() {
    let mut system = System::up().await;
    let john = json!({ "name": "John Doe", "email": "john.doe@example.com", "age": 30 });
    let created = post(&system, "/api/v1/users", john).await;
    assert_eq!(created.status, 201, "{created:?}");
    let (_, token) = account(&system, "johnny").await;
    system.kill();

    let system = system.launch.start().await;
    let listed = Answer::of(system.get("users", "/api/v1/users")).await.json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]), (2, &created.json()));
    let profile = get(&system, "/api/v1/users/profile", &token).await;
    assert_eq!((profile.status, &profile.json()["data"]["username"]), (200, &json!("johnny")), "{profile:?}");
    let counts = Answer::of(system.get("users", "/api/v1/users/stats/count")).await.json();
    assert_eq!(counts["data"]["total_users"], 2);
    let ready = Answer::of(system.get("users", "/health/ready")).await.json();
    assert_eq!(ready["dependencies"]["store"]["status"], "up");
}

#[tokio::test]
async fn production_serves_its_own_and_operators_with_a_token_of_the_command_line() {
    let launch = serve(&["users"]).env("JWT_SECRET_KEY", STRONG_KEY).env("RATE_LIMIT", "0");
    let system = launch.start().await;
    let (ann, token) = account(&system, "annie").await;
    let (bob, _) = account(&system, "bobby").await;
    let user = |id: &str| format!("/api/v1/users/{id}");
    assert_eq!(Answer::of(system.get("users", &user(&ann))).await.status, 401);
    assert_eq!(get(&system, &user(&ann), &token).await.status, 200);
    assert_eq!(get(&system, &user(&bob), &token).await.status, 404);
    assert_eq!(get(&system, "/api/v1/users", &token).await.status, 403);

    let operator = printed(&launch.args(&["token", "issue", "--scope", "users:read", "--lifetime", "5m"]));
    let listed = get(&system, "/api/v1/users", &operator).await;
    assert_eq!((listed.status, listed.header("x-total-count")), (200, "2"), "{listed:?}");
    let delete = system.get("users", &user(&bob)).build().unwrap().url().clone();
    let delete = reqwest::Client::new().request(Method::DELETE, delete).bearer_auth(&operator);
    assert_eq!(Answer::of(delete).await.status, 403, "to read is not to write");
}

#[tokio::test]
async fn a_key_that_was_rotated_verifies_what_it_signed_until_it_is_removed() {
    let launch = serve(&["users"]).env("JWT_SECRET_KEY", STRONG_KEY).env("DATABASE_URL", "memory:");
    let launch = launch.env("RATE_LIMIT", "0");
    let new = "fedcba9876543210fedcba9876543210-of-tokens";
    let old = printed(&launch.args(&["token", "issue", "--scope", "users:read"]));
    let rotated = launch.env("JWT_SECRET_KEY", new).env("JWT_PREVIOUS_SECRET_KEY", STRONG_KEY);
    let status = async |launch: &Launch| get(&launch.start().await, "/api/v1/users", &old).await.status;
    assert_eq!(status(&rotated).await, 200);
    assert_eq!(status(&rotated.unset("JWT_PREVIOUS_SECRET_KEY")).await, 401);
}

#[tokio::test]
async fn weak_and_missing_keys_stop_production_with_one_line_that_shows_none() {
    let launch = serve(&["users"]).env("DATABASE_URL", "memory:");
    let file = launch.path("key.pem");
    std::fs::write(&file, "-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----\n").unwrap();
    let reference = format!("file:{}", file.display());
    for (key, expected) in [
        (None, "JWT_SECRET_KEY is not set: expected a secret"),
        (Some("hunter2"), "at least 32 bytes"),
        (Some("file:/nowhere/key"), "JWT_SECRET_KEY=file:/nowhere/key"),
        (Some(reference.as_str()), "JWT_SECRET_KEY=file:"),
    ] {
        let launch = match key {
            Some(key) => launch.args(&["serve", "users"]).env("JWT_SECRET_KEY", key),
            None => launch.args(&["serve", "users"]),
        };
        let output = launch.run();
        let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_token_is_checked_and_none_is_made_where_there_is_no_key() {
    let launch = Launch::up();
    let output = launch.args(&["token", "issue"]).run();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("there is no key") && !launch.data().exists(), "{text}");
    let wrong = launch.args(&["token", "issue", "--lifetime", "31d"]).env("JWT_SECRET_KEY", STRONG_KEY).run();
    assert_eq!(wrong.status.code(), Some(64), "{wrong:?}");
    let unknown = launch.args(&["token", "issue", "--scope", "users:everything"]).run();
    assert_eq!(unknown.status.code(), Some(64), "{unknown:?}");
}

#[tokio::test]
async fn processes_on_one_postgresql_serve_the_same_users() {
    let Some(site) = Site::new() else { return };
    let launch = || site.serve("users").env("JWT_SECRET_KEY", STRONG_KEY).unset("QUEUE_URL");
    let (one, other) = tokio::join!(async { launch().start().await }, async { launch().start().await });
    let (ann, token) = account(&one, "annie").await;
    let seen = get(&other, &format!("/api/v1/users/{ann}"), &token).await;
    assert_eq!((seen.status, &seen.json()["name"]), (200, &json!("annie")), "{seen:?}");
    assert_eq!(log_in(&other, "ANNIE").await.status, 200);
    let taken = json!({ "username": "Annie", "email": "other@example.com", "password": PASSWORD });
    assert_eq!(post(&other, "/api/v1/users/register", taken).await.status, 400);
    let log = eventually("the log says what was migrated", || {
        let logs = one.stdout() + &other.stdout();
        logs.contains("migrat").then_some(logs)
    });
    assert!(!log.await.contains(STRONG_TOKEN));
}
