//! What is paid for is counted: the product's own counters against the log of the fake.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::aws::Fault;
use tokio::task::JoinSet;

use crate::cloud::{Cloud, QUEUE};
use crate::launch::{Launch, STRONG_TOKEN};
use crate::system::{Answer, System, email, eventually};

/// The values of a counter on a service's page, by action.
async fn counted(system: &System, counter: &str) -> BTreeMap<String, u64> {
    let page = Answer::of(system.get("archiver-internal", "/metrics")).await.text;
    let of_counter = |line: &&str| line.starts_with(&format!("{counter}{{"));
    let value = |line: &str| {
        let action = line.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        (action.to_owned(), line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    page.lines().filter(of_counter).map(value).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_counted_also_one_that_is_repeated() {
    const MESSAGES: usize = 20;
    let cloud = Cloud::start().await;
    cloud.fake.inject(Fault::throttle().on("SendMessageBatch").times(1));
    cloud.fake.inject(Fault::throttle().on("PutObject").times(2));
    let system = cloud.serve(&["ingest", "archiver"]).start().await;
    for _ in 0..MESSAGES {
        let body = json!({ "data": email("counted"), "token": STRONG_TOKEN });
        assert_eq!(Answer::of(system.post("ingest", "/api/message").json(&body)).await.status, 200);
    }
    eventually("an empty queue", || (cloud.fake.depth(QUEUE) == 0).then_some(())).await;
    let seen = cloud.fake.call_counts().by_action;
    let sent = counted(&system, "aws_requests_total").await;
    for action in ["SendMessageBatch", "PutObject", "DeleteMessageBatch", "GetParameter"] {
        assert_eq!(sent.get(action), seen.get(action), "{action}: {sent:?}, {seen:?}");
    }
    assert_eq!(seen["PutObject"], MESSAGES as u64 + 2);
    let billed = counted(&system, "aws_billed_requests_total").await;
    assert_eq!(billed["PutObject"], MESSAGES as u64, "S3 does not bill what it throttles");
    // One poll more may be under way, of which the fake does not know yet.
    let polls = seen.get("ReceiveMessage").copied().unwrap_or(0);
    assert!((polls..=polls + 1).contains(&sent["ReceiveMessage"]), "{sent:?}, {seen:?}");
}

/// So many messages through one process, under load; then the bill and the forecast of `keelson cost`.
async fn cost_of(messages: usize) -> Value {
    const CLIENTS: usize = 100;
    let cloud = Cloud::start().await;
    let launch = cloud.serve(&["ingest", "archiver"]).env("VISIBILITY_TIMEOUT", "30s");
    let system = launch.start().await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let body = json!({ "data": email("paid for"), "token": STRONG_TOKEN });
        let request = system.post("ingest", "/api/message").json(&body);
        clients.spawn(async move {
            for _ in (client..messages).step_by(CLIENTS) {
                assert_eq!(Answer::of(request.try_clone().unwrap()).await.status, 200);
            }
        });
    }
    clients.join_all().await;
    eventually("an empty queue", || (cloud.fake.depth(QUEUE) == 0).then_some(())).await;
    let shown = Answer::of(system.get("archiver-internal", "/status")).await.json();
    assert_eq!(shown["cost"]["received_messages"], messages, "{}", shown["cost"]);
    let output = launch.args(&["cost", "--json"]).run();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Within 1 %.
fn assert_foretold(cost: &Value) {
    let counted = cost["so_far"]["dollars_per_million_messages"].as_f64().unwrap();
    let foretold = cost["a_million_messages"]["under_load"]["dollars"].as_f64().unwrap();
    assert!((counted / foretold - 1.0).abs() <= 0.01, "${counted} counted, ${foretold} foretold: {cost}");
    assert_eq!(cost["so_far"]["processes"], 1, "two services of one process have one bill");
    // S3 is most of the bill, and would hide what is wrong with the rest.
    let messages = cost["so_far"]["sent_messages"].as_f64().unwrap();
    for action in ["SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch", "PutObject"] {
        let billed = |requests: &Value| {
            let line = requests.as_array().unwrap().iter().find(|line| line["action"] == action).unwrap();
            line["billed"].as_f64().unwrap()
        };
        let counted = billed(&cost["so_far"]["requests"]) * 1e6 / messages;
        let foretold = billed(&cost["a_million_messages"]["under_load"]["requests"]);
        assert!((counted / foretold - 1.0).abs() <= 0.2, "{action}: {counted} counted, {foretold} foretold");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_forecast_agrees_with_the_bill() {
    assert_foretold(&cost_of(2_000).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the long run of `./test full`"]
async fn the_forecast_agrees_with_the_bill_of_ten_thousand_messages() {
    assert_foretold(&cost_of(10_000).await);
}

#[tokio::test]
async fn without_aws_there_is_nothing_to_pay_and_a_process_that_is_silent_is_named() {
    let launch = Launch::up();
    let free = launch.args(&["cost"]).run();
    let text = String::from_utf8(free.stdout).unwrap();
    assert!(free.status.success() && text.contains("cost nothing on AWS"), "{text}");
    // What a killed process leaves behind.
    let mut killed = launch.start().await;
    killed.kill();
    let left = launch.args(&["cost"]).run();
    let text = String::from_utf8(left.stderr).unwrap();
    assert!(left.status.success() && text.contains("not counted: http://"), "{text}");
    let secret = launch.args(&["cost", "http://user:hunter2@127.0.0.1:1"]).run();
    let text = String::from_utf8(secret.stderr).unwrap();
    assert!(secret.status.code() == Some(64) && !text.contains("hunter2"), "{text}");
    let silent = launch.args(&["cost", "http://127.0.0.1:1"]).run();
    let text = String::from_utf8(silent.stderr).unwrap();
    assert_eq!(silent.status.code(), Some(69), "{text}");
    assert!(text.contains("http://127.0.0.1:1/status"), "{text}");
}
