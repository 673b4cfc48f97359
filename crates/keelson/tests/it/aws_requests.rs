//! What is paid for is counted: the product's own counters against the log of the fake.

use std::collections::BTreeMap;

use serde_json::json;
use testkit::aws::Fault;

use crate::cloud::{Cloud, QUEUE};
use crate::launch::STRONG_TOKEN;
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
