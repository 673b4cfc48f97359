//! The control endpoint, for scripts in other processes.

use serde_json::{Value, json};
use testkit::aws::Fake;

use crate::clients::{code, receive, send, sqs};

async fn post(fake: &Fake, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/_fake/{path}", fake.url()));
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn get(fake: &Fake, path: &str) -> Value {
    reqwest::get(format!("{}/_fake/{path}", fake.url())).await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_script_injects_faults_counts_calls_and_resets() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    let faults = json!([
        {"effect": "throttle", "service": "sqs", "action": "SendMessage", "times": 1},
        {"effect": "error", "status": 503, "code": "ServiceUnavailable", "resource": "orders", "after": 1, "times": 1},
    ]);
    let (status, answer) = post(&fake, "faults", &faults).await;
    assert_eq!((status, answer), (200, json!({"ids": [1, 2]})));
    for expected in ["RequestThrottled", "no fault", "ServiceUnavailable"] {
        let sent = client.send_message().queue_url(&url).message_body("x").send().await;
        assert_eq!(sent.as_ref().err().map_or("no fault", |error| code(error)), expected);
    }
    assert_eq!(get(&fake, "faults/1").await, json!({"struck": 1}));
    let calls = get(&fake, "calls?log=true").await;
    assert_eq!(calls["by_action"], json!({"SendMessage": 3}));
    assert_eq!((&calls["by_service"]["sqs"], &calls["total"]), (&json!(3), &json!(3)));
    assert_eq!(calls["log"][0]["outcome"], json!({"refused": [403, "RequestThrottled"]}));
    assert_eq!(calls["log"][1]["outcome"], "done");
    assert_eq!(calls["log"][1]["resource"], "orders");

    post(&fake, "reset", &json!({})).await;
    assert_eq!(get(&fake, "calls").await["total"], 0);
    assert_eq!(fake.depth("orders"), 1);
    post(&fake, "reset?state=true", &json!({})).await;
    assert_eq!(
        client.get_queue_url().queue_name("orders").send().await.map_err(|error| code(&error).to_owned()).unwrap_err(),
        "AWS.SimpleQueueService.NonExistentQueue"
    );
}

#[tokio::test]
async fn every_effect_has_a_name() {
    let fake = Fake::start().await;
    for fault in [
        json!({"effect": "throttle", "chance": 0.5}),
        json!({"effect": "error", "status": 500, "code": "InternalError"}),
        json!({"effect": "stall", "millis": 5}),
        json!({"effect": "late-answer", "millis": 5}),
        json!({"effect": "no-answer"}),
        json!({"effect": "drop"}),
        json!({"effect": "fail-entries", "code": "InternalError", "first": 2}),
        json!({"effect": "fail-entries", "code": "InternalError", "each": 0.1, "sender_fault": true}),
        json!({"effect": "deliver-twice"}),
        json!({"effect": "reorder"}),
        json!({"effect": "forget-delete"}),
    ] {
        assert_eq!(post(&fake, "faults", &fault).await.0, 200, "{fault}");
    }
    let client = reqwest::Client::new();
    client.delete(format!("{}/_fake/faults", fake.url())).send().await.unwrap();
    fake.create_queue("orders");
    assert!(receive(&sqs(&fake).await, &format!("{}/0/orders", fake.url())).await.is_empty());
}

#[tokio::test]
async fn a_fault_that_would_never_strike_or_never_end_by_mistake_is_refused() {
    let fake = Fake::start().await;
    for (fault, why) in [
        (json!({"effect": "explode"}), "explode"),
        (json!({"effect": "throttle", "action": "SendMesage"}), "SendMesage"),
        (json!({"effect": "throttle", "service": "sns"}), "sns"),
        (json!({"effect": "throttle", "timess": 3}), "timess"),
        (json!({"effect": "throttle", "chance": 1.5}), "1.5"),
        (json!({"effect": "stall"}), "millis"),
        (json!({"effect": "error", "status": 500}), "code"),
    ] {
        let (status, answer) = post(&fake, "faults", &fault).await;
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().contains(why), "{answer}");
    }
    assert!(std::panic::catch_unwind(|| testkit::aws::Fault::throttle().on("SendMesage")).is_err());
}

#[tokio::test]
async fn a_script_turns_the_clock() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    send(&client, &url, "one").await;
    receive(&client, &url).await;
    assert_eq!(post(&fake, "advance?millis=30000", &json!({})).await.0, 200);
    assert_eq!(receive(&client, &url).await.len(), 1);
    assert_eq!(post(&fake, "advance", &json!({})).await.0, 400);
}

#[tokio::test]
async fn a_dropped_fake_is_gone_with_its_connections() {
    let fake = Fake::start().await;
    let client = sqs(&fake).await;
    let url = fake.create_queue("orders");
    send(&client, &url, "one").await;
    drop(fake);
    let error = client.send_message().queue_url(&url).message_body("x").send().await.unwrap_err();
    assert!(error.raw_response().is_none());
}
