//! The API token: where it comes from, how it changes, and that it is found nowhere.

use std::fs;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::launch::Launch;
use crate::message::assert_refused;
use crate::system::{Answer, System, email, files};

async fn post(system: &System, token: &str) -> Answer {
    let body = json!({ "data": email("token"), "token": token });
    Answer::of(system.post("ingest", "/api/message").json(&body)).await
}

#[tokio::test]
async fn a_rotated_token_is_taken_at_once_and_the_one_before_still_works() {
    let launch = Launch::up();
    let file = launch.path("token");
    fs::write(&file, "the-first-token\n").unwrap();
    let system = launch.env("API_TOKEN", &format!("file:{}", file.display())).start().await;
    assert!(system.ready["api_token_file"].is_null(), "{}", system.ready);
    assert_eq!(post(&system, "the-first-token").await.status, 200);
    fs::write(&file, "the-second-token\r\n").unwrap();
    // The source is asked again for a wrong token, at most every ten seconds.
    let begun = Instant::now();
    while post(&system, "the-second-token").await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(15), "the new token is not taken");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert_eq!(post(&system, "the-first-token").await.status, 200);
    assert_refused(&post(&system, "the-third-token").await, 401, "Invalid token", "/api/message");

    fs::remove_file(&file).unwrap();
    for token in ["the-first-token", "the-second-token"] {
        assert_eq!(post(&system, token).await.status, 200, "the cached {token} is forgotten");
    }
    assert_refused(&post(&system, "wrong").await, 401, "Invalid token", "/api/message");
}

#[tokio::test]
async fn without_a_value_from_the_source_the_answer_is_503_within_two_seconds() {
    let launch = Launch::up();
    let file = launch.path("token");
    let system = launch.env("API_TOKEN", &format!("file:{}", file.display())).spawn().listening().await;
    let begun = Instant::now();
    let answer = post(&system, "anything").await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_refused(&answer, 503, "Token validation unavailable", "/api/message");
    assert!(!answer.header("retry-after").is_empty());
    assert!(!answer.text.contains("file"), "the cause is told: {answer:?}");
    let body = json!({ "token": "anything", "email_timestream": "2025-06-09" });
    let answer = Answer::of(system.post("ingest", "/submit").json(&body)).await;
    assert_refused(&answer, 503, "Token validation unavailable", "/submit");
    let ready = Answer::of(system.get("ingest", "/health/ready")).await;
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("not_ready")));
    assert_eq!(ready.json()["dependencies"]["api-token"]["status"], "down");

    fs::write(&file, "at-last").unwrap();
    // A source that has just failed is asked again a second later.
    let written = Instant::now();
    while post(&system, "at-last").await.status != 200 {
        assert!(written.elapsed() < Duration::from_secs(3), "the source is back and nobody asks it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    system.ready().await;
}

#[tokio::test]
async fn a_reference_to_the_environment_is_followed() {
    let system = System::up_with(&[("API_TOKEN", "env:MY_TOKEN"), ("MY_TOKEN", "from-the-environment")]).await;
    assert_eq!(post(&system, "from-the-environment").await.status, 200);
    assert_eq!(post(&system, "env:MY_TOKEN").await.status, 401);
}

/// Everything that the system wrote and answered, but for the file that holds the token.
fn written(launch: &Launch) -> Vec<(String, Vec<u8>)> {
    let paths = files(&launch.path(""));
    let written = paths.into_iter().filter(|path| !path.ends_with("secrets/api_token") && !path.ends_with("token"));
    written.map(|path| (path.display().to_string(), fs::read(&path).unwrap_or_default())).collect()
}

async fn mixed_load(system: &System, token: &str) -> Vec<String> {
    let mut told = Vec::new();
    let bodies = [
        json!({ "data": email("good"), "token": token }),
        json!({ "data": { "email_subject": 1 }, "token": token }),
        json!({ "data": 7, "token": token, "_metadata": 1 }),
        json!({ "token": token, "email_timestream": "2025-06-09" }),
        json!({ "token": token, "email_timestream": "yesterday" }),
        json!({ "token": token, "email_timestream": "2025-06-09", "_metadata": 1 }),
        json!({ "token": [token], "data": {} }),
        json!([token]),
    ];
    for body in &bodies {
        for path in ["/api/message", "/submit"] {
            told.push(Answer::of(system.post("ingest", path).json(body)).await.text);
        }
    }
    let cut = format!(r#"{{"token":"{token}","data":"#);
    told.push(Answer::of(system.post("ingest", "/submit").body(cut)).await.text);
    let query = format!("/api/message?token={token}");
    told.push(Answer::of(system.get("ingest", &query).header("user-agent", "x").bearer_auth(token)).await.text);
    for service in ["ingest", "archiver"] {
        for path in ["/", "/status", "/metrics", "/ready", "/openapi.json"] {
            told.push(Answer::of(system.get(service, path)).await.text);
        }
    }
    told.push(Answer::of(system.ops(Method::GET, "/dead-letters")).await.text);
    told
}

#[tokio::test]
async fn the_token_is_found_nowhere() {
    let token = "sEcReT-0123456789-tOkEn-9876543210-x";
    for reference in [false, true] {
        let launch = Launch::up().env("LOG_LEVEL", "DEBUG").env("LOG_FILTER", "debug");
        let (file, logs) = (launch.path("token"), launch.path("logs"));
        fs::write(&file, token).unwrap();
        let setting = if reference { format!("file:{}", file.display()) } else { token.to_owned() };
        let launch = launch.env("API_TOKEN", &setting).env("LOG_DIR", logs.to_str().unwrap());
        let mut system = launch.start().await;
        let told = mixed_load(&system, token).await;
        assert!(told.iter().all(|text| !text.contains(token)), "{told:#?}");
        system.drained().await;
        let running = written(&launch);
        assert!(system.stop().await.success());
        let stopped = written(&launch);
        for file in ["run.json", "queue.db-wal", "ingest.log", ".json", "stderr"] {
            let mut seen = running.iter().chain(&stopped);
            assert!(seen.any(|(path, bytes)| path.ends_with(file) && !bytes.is_empty()), "no {file}");
        }
        for (path, bytes) in running.iter().chain(&stopped) {
            assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()), "the token is in {path}");
        }
    }
}
