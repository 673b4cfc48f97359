//! Stores that fail: nothing is lost, nothing is doubled, nothing is half-sent.

use std::fs;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::archive::plant;
use crate::launch::{BINARY, Launch};
use crate::message::assert_refused;
use crate::system::{Answer, System, email, eventually};

/// The process may write no file beyond 800 KiB, so a message that large fails like a full disk does.
fn with_a_small_disk() -> Launch {
    let limited = "trap '' XFSZ; ulimit -f 1600; exec \"$0\" \"$@\"";
    Launch::up().program(&["/bin/sh", "-c", limited, BINARY])
}

#[tokio::test]
async fn a_queue_that_cannot_write_is_503_and_works_again_afterwards() {
    let system = with_a_small_disk().start().await;
    let before = system.send(&email("before")).await;
    let content = "x".repeat(900 << 10);
    let mut data = email("too much for the disk");
    data["email_content"] = json!(content);
    let message = json!({ "data": data, "token": system.token() });
    let payload = json!({ "email_timestream": "2025-06-09", "x": content, "token": system.token() });
    for (path, body) in [("/api/message", message), ("/submit", payload)] {
        let begun = Instant::now();
        let request = system.post("ingest", path).header("x-correlation-id", "the-failed-one").json(&body);
        let answer = Answer::of(request).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_refused(&answer, 503, "Failed to send message", path);
        assert!(!answer.header("retry-after").is_empty());
        let known = ["type", "title", "status", "detail", "instance", "correlation_id", "error", "retry_after"];
        assert!(answer.json().as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{answer:?}");
    }
    let after = system.send(&email("after")).await;
    for id in [&before, &after] {
        system.object(id).await;
    }
    assert_eq!(system.drained().await["dead"], 0);
    assert_eq!(system.objects().len(), 2, "something was half-sent");
}

#[tokio::test]
async fn what_cannot_be_written_is_tried_again_then_given_up_and_can_be_redriven() {
    let launch = Launch::up().env("MAX_RECEIVE_COUNT", "2");
    fs::create_dir_all(launch.data().join("objects")).unwrap();
    // A file where the folder of all messages belongs.
    let obstacle = launch.data().join("objects/messages");
    fs::write(&obstacle, "in the way").unwrap();
    let system = launch.start().await;
    let id = system.send(&email("in vain")).await;
    let begun = Instant::now();
    while system.queue().await["dead"] != 1 {
        assert!(begun.elapsed() < Duration::from_secs(15), "{}", system.queue().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(400), "the second attempt came without a pause");
    let letter = Answer::of(system.ops(Method::GET, &format!("/dead-letters/{id}"))).await.json();
    assert_eq!(letter["receive_count"], 2, "{letter}");
    assert!(letter["reason"].as_str().unwrap().starts_with("could not be stored in 2 attempts"), "{letter}");

    fs::remove_file(&obstacle).unwrap();
    let all = Answer::of(system.ops(Method::POST, "/dead-letters/redrive").json(&json!({ "all": true }))).await;
    assert_eq!(all.json(), json!({ "count": 1 }));
    let object: Value = serde_json::from_str(&system.object(&id).await).unwrap();
    assert_eq!(object["email_subject"], "in vain");
    assert_eq!(object["_metadata"]["receive_count"], 1, "its count starts anew");
}

#[tokio::test]
async fn a_message_that_comes_back_changes_nothing() {
    let launch = Launch::up();
    let ids = plant(&launch, &[("elsewhere", r#"{"once":true}"#)]).await;
    let (queue, copy) = (launch.data().join("queue.db"), launch.path("queue.copy"));
    fs::copy(&queue, &copy).unwrap();
    let mut system = launch.start().await;
    let first = system.object(&ids[0]).await;
    system.drained().await;
    assert!(system.stop().await.success());
    drop(system);

    fs::copy(&copy, &queue).unwrap();
    let system: System = launch.start().await;
    assert_eq!(system.drained().await["dead"], 0);
    assert_eq!(system.objects().len(), 1);
    assert_eq!(system.object(&ids[0]).await, first);
    let metrics = Answer::of(system.get("archiver", "/metrics")).await.text;
    assert!(metrics.lines().any(|line| line.contains("duplicate") && line.ends_with(" 1")), "{metrics}");
}

#[tokio::test]
async fn a_folder_of_objects_that_is_made_anew_is_used_without_a_restart() {
    let system = System::up().await;
    let objects = system.data().join("objects");
    fs::remove_dir_all(&objects).unwrap();
    let id = system.send(&email("to the new folder")).await;
    eventually("the archiver finds out", || system.stderr().contains("object store is unavailable").then_some(()))
        .await;
    assert!(!objects.exists(), "a folder was made where a disk may be missing");
    fs::create_dir(&objects).unwrap();
    let object: Value = serde_json::from_str(&system.object(&id).await).unwrap();
    assert_eq!(object["_metadata"]["receive_count"], 1);
    assert_eq!(system.drained().await["dead"], 0);
}
