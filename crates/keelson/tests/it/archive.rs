//! The archiver: what is stored, where, once, and what becomes of messages that cannot be.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use backends::aws::{Aws, AwsSettings};
use backends::{QueueContext, open_queue};
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::NewMessage;
use chassis::telemetry::storage::StorageFailures;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::launch::Launch;
use crate::system::{Answer, System, email, eventually};

#[tokio::test]
async fn an_object_lies_under_the_utc_date_of_sending_and_tells_where_it_comes_from() {
    let system = System::up().await;
    let body = json!({ "data": email("metadata"), "token": system.token() });
    let request = system.post("ingest", "/api/message").json(&body);
    let request = request.header("x-correlation-id", "order-4711");
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let answer = Answer::of(request.header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-01"))).await;
    assert_eq!(answer.header("x-correlation-id"), "order-4711");
    let id = answer.json()["message_id"].as_str().unwrap().to_owned();
    let object: Value = serde_json::from_str(&system.object(&id).await).unwrap();
    let metadata = object["_metadata"].as_object().unwrap();

    let members = ["message_id", "sent_at", "archived_at", "source", "correlation_id", "trace_id", "receive_count"];
    assert_eq!(metadata.keys().collect::<Vec<_>>(), members);
    assert_eq!(metadata["message_id"], *id);
    assert_eq!(metadata["source"], "/api/message");
    assert_eq!(metadata["correlation_id"], "order-4711");
    assert_eq!(metadata["trace_id"], trace_id);
    assert_eq!(metadata["receive_count"], 1);
    let (sent_at, archived_at) = (metadata["sent_at"].as_str().unwrap(), metadata["archived_at"].as_str().unwrap());
    assert!(sent_at.ends_with('Z') && archived_at.ends_with('Z'));
    assert!(sent_at.parse::<jiff::Timestamp>().unwrap() <= archived_at.parse().unwrap());
    let key = format!("messages/{}/{id}.json", sent_at[..10].replace('-', "/"));
    assert_eq!(system.objects().into_iter().map(|(key, _)| key).collect::<Vec<_>>(), [key]);
}

#[tokio::test]
async fn the_users_own_json_is_stored_byte_for_byte() {
    let system = System::up().await;
    let own = r#"{ "z": 1.0, "a":1e5,"big" : 12345678901234567890123, "tiny":-0.10E-7, "email_content":"\u0041\/ Grüße 世界 🌍 \"q\" \n",
  "email_sender":"x", "nested": {"b":[ ],"a":{"_metadata":null}},  "email_timestream":"1","email_subject":"s" , "dup":1,"last":true}"#;
    let body = format!(r#"{{"token":"{}","data":{own}}}"#, system.token());
    let request = system.post("ingest", "/api/message").header("content-type", "application/json").body(body);
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let stored = system.object(answer.json()["message_id"].as_str().unwrap()).await;
    let kept = own.strip_suffix('}').unwrap();
    assert!(stored.starts_with(&format!(r#"{kept},"_metadata":{{"#)), "{stored}");
    assert!(serde_json::from_str::<Value>(&stored).is_ok());
}

#[tokio::test]
async fn five_hundred_messages_at_once_become_five_hundred_objects() {
    let system = Arc::new(System::up().await);
    let mut senders = JoinSet::new();
    for number in 0..500 {
        let system = Arc::clone(&system);
        senders.spawn(async move {
            let subject = format!("number {number}");
            (system.send(&email(&subject)).await, subject)
        });
    }
    let sent: BTreeMap<String, String> = senders.join_all().await.into_iter().collect();
    assert_eq!(sent.len(), 500);
    let queue = system.drained().await;
    assert_eq!(queue["dead"], 0, "{queue}");
    let objects = system.objects();
    assert_eq!(objects.len(), 500);
    for (key, path) in objects {
        let object: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let id = key.rsplit_once('/').unwrap().1.trim_end_matches(".json");
        assert_eq!(object["_metadata"]["message_id"], id);
        assert_eq!(object["email_subject"], *sent[id]);
    }
    let letters = Answer::of(system.ops(Method::GET, "/dead-letters")).await.json();
    assert_eq!(letters, json!({ "count": 0, "dead_letters": [] }));
}

/// Puts messages into the queue of a system that is stopped.
pub(crate) async fn plant(launch: &Launch, messages: &[(&str, &str)]) -> Vec<String> {
    std::fs::create_dir_all(launch.data()).unwrap();
    let clock = SystemClock::shared();
    let context = QueueContext {
        ids: Ids::new(Arc::clone(&clock)),
        clock,
        max_receive_count: 3,
        failures: StorageFailures::default(),
    };
    let aws = Aws::new(AwsSettings { region: "us-east-1".into(), endpoint_url: None });
    let url = format!("sqlite:{}", launch.data().join("queue.db").display());
    let queue = open_queue(&url, &aws, context).await.unwrap();
    let mut ids = Vec::new();
    for (source, body) in messages {
        let attributes = [("source".to_owned(), (*source).to_owned())].into();
        ids.push(queue.send(NewMessage::new(*body, attributes)).await.unwrap().0);
    }
    ids
}

/// What nobody can store, and the reason that an operator reads.
const POISON: &[(&str, &str, &str)] = &[
    ("elsewhere", "[1]", "not a JSON object"),
    ("elsewhere", "{", "not a JSON object"),
    ("elsewhere", r#"{"_metadata":{}}"#, "_metadata"),
    ("/api/message", r#"{"email_subject":"s","email_sender":7}"#, "email_sender, email_timestream, email_content"),
    ("/submit", r#"{"x":1}"#, "email_timestream"),
];

#[tokio::test]
async fn poison_goes_to_the_dead_letters_with_its_reason_and_blocks_nobody() {
    let launch = Launch::up();
    let mut messages: Vec<_> = POISON.iter().map(|(source, body, _)| (*source, *body)).collect();
    messages.push(("elsewhere", r#"{"good":1}"#));
    let ids = plant(&launch, &messages).await;
    let system = launch.start().await;
    assert!(system.object(ids.last().unwrap()).await.starts_with(r#"{"good":1,"_metadata":"#));
    let queue = system.drained().await;
    assert_eq!(queue["dead"], POISON.len());
    assert_eq!(system.objects().len(), 1);

    let listed = Answer::of(system.ops(Method::GET, "/dead-letters")).await.json();
    let letters: HashSet<_> =
        listed["dead_letters"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(letters, ids[..POISON.len()].iter().cloned().collect());
    for ((_, body, reason), id) in POISON.iter().zip(&ids) {
        let letter = Answer::of(system.ops(Method::GET, &format!("/dead-letters/{id}"))).await.json();
        assert_eq!(letter["body"], *body);
        assert!(letter["reason"].as_str().unwrap().contains(reason), "{letter}");
    }
    let metrics = Answer::of(system.get("archiver", "/metrics")).await.text;
    let counted = |line: &&str| line.contains("dead") && line.ends_with(&format!(" {}", POISON.len()));
    assert!(metrics.lines().any(|line| counted(&line)), "{metrics}");
}

#[tokio::test]
async fn dead_letters_are_shown_redriven_and_purged_by_the_operator_alone() {
    let launch = Launch::up();
    let ids = plant(&launch, &[("elsewhere", "[1]"), ("elsewhere", "[2]")]).await;
    let system = launch.start().await;
    let dead = || async { Answer::of(system.ops(Method::GET, "/dead-letters?limit=1")).await.json()["count"].clone() };
    system.drained().await;
    assert_eq!(dead().await, 1, "the limit holds");

    let one = json!({ "ids": [ids[0], "unknown"] });
    let redriven = Answer::of(system.ops(Method::POST, "/dead-letters/redrive").json(&one)).await;
    assert_eq!(redriven.json(), json!({ "count": 1 }));
    assert_eq!(system.drained().await["dead"], 2, "still poison");
    let all = Answer::of(system.ops(Method::POST, "/dead-letters/redrive").json(&json!({ "all": true }))).await;
    assert_eq!(all.json(), json!({ "count": 2 }));
    system.drained().await;
    let neither = Answer::of(system.ops(Method::POST, "/dead-letters/redrive").json(&json!({}))).await;
    assert_eq!(neither.status, 422, "{neither:?}");

    for path in ["/ops/v1/dead-letters", "/ops/v1/queue"] {
        let stranger = Answer::of(system.get("archiver", path)).await;
        assert_eq!((stranger.status, &stranger.json()["detail"]), (401, &json!("Access token is missing")));
        let wrong = Answer::of(system.get("archiver", path).bearer_auth("wrong")).await;
        assert_eq!((wrong.status, &wrong.json()["detail"]), (401, &json!("Invalid or expired token")));
    }
    assert_eq!(Answer::of(system.ops(Method::DELETE, "/dead-letters")).await.json(), json!({ "count": 2 }));
    let gone = Answer::of(system.ops(Method::GET, &format!("/dead-letters/{}", ids[0]))).await;
    assert_eq!((gone.status, &gone.json()["detail"]), (404, &json!("Dead letter not found")));
    let audited = ["redrive_dead_letters", "purge_dead_letters"];
    eventually("every change is in the audit log", || {
        audited.iter().all(|action| system.stderr().contains(action)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_object_store_that_is_down_costs_no_attempt_and_heals_without_a_restart() {
    let system = System::up().await;
    let objects = system.data().join("objects");
    let aside = system.data().join("aside");
    std::fs::rename(&objects, &aside).unwrap();
    std::fs::remove_dir_all(aside.join(".tmp")).unwrap();
    let id = system.send(&email("later")).await;
    let unready = async || {
        let answer = Answer::of(system.get("archiver", "/health/ready")).await;
        (answer.status == 503).then_some(answer)
    };
    let answer = loop {
        if let Some(answer) = unready().await {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(answer.json()["status"], "not_ready");
    assert_eq!(answer.json()["dependencies"]["objects"]["status"], "down", "{answer:?}");
    assert_eq!(answer.json()["dependencies"]["queue"]["status"], "up", "{answer:?}");
    assert!(!answer.header("retry-after").is_empty());

    // Long enough for more attempts than a message has.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let queue = system.queue().await;
    assert_eq!(queue["dead"], 0, "{queue}");
    std::fs::create_dir(aside.join(".tmp")).unwrap();
    std::fs::rename(&aside, &objects).unwrap();
    let object: Value = serde_json::from_str(&system.object(&id).await).unwrap();
    assert_eq!(object["_metadata"]["receive_count"], 1, "an attempt was counted");
    let begun = std::time::Instant::now();
    while Answer::of(system.get("archiver", "/ready")).await.status != 200 {
        assert!(begun.elapsed().as_secs() < 10, "still not ready");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
