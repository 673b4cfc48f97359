//! `VISIBILITY_TIMEOUT` against the work that an archiver has measured.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Found, SECRET_KEY, doctor};
use crate::cloud::{BUCKET, Cloud, QUEUE};
use crate::emulators::json_request;
use crate::launch::STRONG_TOKEN;
use crate::system::{Answer, email, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_taken_from_the_archiver_that_runs_here() {
    let cloud = Cloud::start().await;
    let system = cloud.serve(&["ingest", "archiver"]).env("VISIBILITY_TIMEOUT", "30s").start().await;
    let look = || Found::of(&system.launch.args(&["doctor", "--json"]).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY));
    look().expect("visibility", "ok", "tells of no delivery yet", "");
    let body = json!({ "data": email("doctor"), "token": STRONG_TOKEN });
    assert_eq!(Answer::of(system.post("ingest", "/api/message").json(&body)).await.status, 200);
    eventually("it is stored", || (!cloud.fake.objects(BUCKET).is_empty()).then_some(())).await;
    let begun = Instant::now();
    while !look().check("visibility")["text"].as_str().unwrap().contains("99 % of 1 deliveries took at most") {
        assert!(begun.elapsed() < Duration::from_secs(10), "not observed: {:#}", look().all);
    }
    look().expect("running", "ok", "archiver is ready, ingest is ready", "");
}

/// A page of metrics with deliveries of so many seconds.
async fn archiver_with(seconds: &'static str) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _request = stream.read(&mut [0; 4096]).await;
            let line = |bound: &str| {
                let count = if bound == seconds || bound == "+Inf" { 7 } else { 0 };
                format!("messaging_process_duration_seconds_bucket{{service=\"archiver\",le=\"{bound}\"}} {count}\n")
            };
            let page = ["1", "2.5", "10", "+Inf"].map(line).concat();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}", page.len());
            let _written = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address.to_string(), serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visibility_below_the_observed_work_is_told_with_what_protects_it() {
    let cloud = Cloud::start().await;
    let (slow, _serving) = archiver_with("10").await;
    let look = |visibility: &str| {
        Found::of(&doctor(&cloud, &["--json", "--archiver", &slow]).env("VISIBILITY_TIMEOUT", visibility))
    };
    let found = look("9s");
    found.expect("visibility", "warning", "99 % of 7 deliveries took at most 10s", "VISIBILITY_TIMEOUT=21s");
    found.expect("visibility", "warning", "The lease is extended while the work goes on", "");
    found.expect_only(&["visibility"]);
    look("30s").expect("visibility", "ok", "99 % of 7 deliveries took at most 10s", "");
    look("2s").expect("visibility", "warning", "one slow call to SQS", "VISIBILITY_TIMEOUT=30s");

    let rolled_up = |visibility: &str| {
        let launch = doctor(&cloud, &["--json", "--archiver", &slow]).env("ARCHIVE_ROLLUP", "1MB,60s");
        Found::of(&launch.env("VISIBILITY_TIMEOUT", visibility))
    };
    rolled_up("9s").expect("visibility", "ok", "hidden for 180s, 3 times the age of ARCHIVE_ROLLUP (60s), ", "");
    rolled_up("200s").expect("visibility", "ok", "VISIBILITY_TIMEOUT is 200s, ", "");

    let body = json!({ "QueueUrl": format!("{}/000000000000/{QUEUE}", cloud.fake.url()), "Attributes": { "VisibilityTimeout": "5" } });
    json_request(&cloud.fake.url(), "AmazonSQS.SetQueueAttributes", &body.to_string());
    look("30s").expect("visibility", "warning", "the queue's own 5s", "'{\"VisibilityTimeout\":\"30\"}'");
}
