//! Disks that are really full: writes are refused, all else goes on, and everything heals by itself.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chassis::testing::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::disks::Disks;
use crate::launch::Launch;
use crate::message::assert_refused;
use crate::system::{Answer, System, email};

/// Large enough for what a running system writes, small enough to be filled in a moment.
const SIZE: &str = "size=32m";

pub(crate) async fn try_send(system: &System, data: &Value) -> Answer {
    let body = json!({ "data": data, "token": system.token() });
    Answer::of(system.post("ingest", "/api/message").json(&body)).await
}

/// A message is refused in time, as the contract has it.
pub(crate) async fn is_refused(system: &System) {
    let begun = Instant::now();
    let answer = try_send(system, &email("refused")).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_refused(&answer, 503, "Failed to send message", "/api/message");
    assert!(!answer.header("retry-after").is_empty());
}

/// The service is not ready, and says for which of its dependencies.
pub(crate) async fn misses(system: &System, service: &str, dependency: &str) {
    eventually(&format!("{service} misses {dependency}"), || async {
        let ready = Answer::of(system.get(service, "/health/ready")).await;
        let down = ready.json()["dependencies"][dependency]["status"] == "down";
        (ready.status == 503 && down).then_some(())
    })
    .await;
}

pub(crate) async fn is_ready(system: &System) {
    for service in ["ingest", "archiver"] {
        eventually(&format!("{service} is ready"), || async {
            (Answer::of(system.get(service, "/health/ready")).await.status == 200).then_some(())
        })
        .await;
    }
}

/// What needs no write of the store goes on.
pub(crate) async fn reads_go_on(system: &System) {
    for service in ["ingest", "archiver"] {
        for path in ["/health", "/metrics", "/status"] {
            assert_eq!(Answer::of(system.get(service, path)).await.status, 200, "{service} {path}");
        }
    }
    for path in ["/queue", "/dead-letters"] {
        let answer = Answer::of(system.ops(Method::GET, path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}

/// What was counted, as every service shows it.
pub(crate) async fn failures(system: &System, store: &str, kind: &str) -> f64 {
    let metrics = Answer::of(system.get("ingest", "/metrics")).await.text;
    let start = format!("storage_failures_total{{kind=\"{kind}\",store=\"{store}\",service=\"ingest\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
}

/// Exactly these messages are stored, each once and at its first attempt, and none is dead.
pub(crate) async fn stored_exactly(system: &System, objects: Vec<Value>, ids: &[String]) {
    assert_eq!(system.drained().await["dead"], 0);
    for object in &objects {
        assert_eq!(object["_metadata"]["receive_count"], 1, "an attempt was counted: {object}");
    }
    let stored = objects.iter().map(|object| object["_metadata"]["message_id"].as_str().unwrap().to_owned());
    assert_eq!(stored.collect::<BTreeSet<_>>(), ids.iter().cloned().collect());
    assert_eq!(objects.len(), ids.len());
}

fn objects(folder: &std::path::Path) -> Vec<Value> {
    let files = crate::system::files(folder).into_iter().filter(|path| path.extension().is_some_and(|it| it == "json"));
    files.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_senders_and_heals_by_itself() {
    let launch = Launch::up();
    let Some(disks) = Disks::mount(&launch, &[("data", SIZE)]) else { return };
    let system = disks.launch(launch).start().await;
    let before = system.send(&email("before")).await;
    system.drained().await;
    disks.fill("data");
    is_refused(&system).await;
    misses(&system, "ingest", "queue").await;
    reads_go_on(&system).await;
    is_refused(&system).await;
    assert!(failures(&system, "queue", "disk_full").await > 0.0);

    disks.free("data");
    is_ready(&system).await;
    let after = system.send(&email("after")).await;
    system.drained().await;
    stored_exactly(&system, objects(&system.data().join("objects")), &[before, after]).await;
}

#[tokio::test]
async fn a_full_disk_of_objects_pauses_the_archiver_and_counts_no_attempt() {
    let launch = Launch::up().env("MAX_RECEIVE_COUNT", "1").env("VISIBILITY_TIMEOUT", "1s");
    let url = format!("file:{}", launch.path("archive/objects").display());
    let Some(disks) = Disks::mount(&launch, &[("data", SIZE), ("archive", "size=4m")]) else { return };
    let system = disks.launch(launch.env("OBJECTS_URL", &url)).start().await;
    let mut ids = vec![system.send(&email("before")).await];
    system.drained().await;
    disks.fill("archive");
    for number in 0..20 {
        ids.push(system.send(&email(&format!("meanwhile {number}"))).await);
    }
    misses(&system, "archiver", "objects").await;
    assert_eq!(Answer::of(system.get("ingest", "/health/ready")).await.status, 200, "senders are not concerned");
    // Longer than a message is hidden: one that was counted for it would be dead by now.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(system.queue().await["dead"], 0);
    assert!(failures(&system, "objects", "disk_full").await > 0.0);
    reads_go_on(&system).await;

    disks.free("archive");
    system.drained().await;
    is_ready(&system).await;
    stored_exactly(&system, objects(&disks.path("archive")), &ids).await;
    let left = disks.path("archive/objects/.tmp").read_dir().unwrap().count();
    assert_eq!(left, 0, "half-written files are left");
}

/// Messages pile up while the archive is down, until their disk takes no more. The rest of it is enough to get them
/// off again, although nobody frees anything there.
#[tokio::test]
async fn a_queue_that_filled_its_disk_gets_out_by_itself() {
    let launch = Launch::up();
    let url = format!("file:{}", launch.path("archive/objects").display());
    let Some(disks) = Disks::mount(&launch, &[("data", SIZE), ("archive", "size=64m")]) else { return };
    let system = disks.launch(launch.env("OBJECTS_URL", &url)).start().await;
    disks.fill("archive");
    let mut data = email("one of many");
    data["email_content"] = "x".repeat(500_000).into();
    let mut ids = Vec::new();
    let refused = loop {
        let answer = try_send(&system, &data).await;
        if answer.status != 200 {
            break answer;
        }
        ids.push(answer.json()["message_id"].as_str().unwrap().to_owned());
        assert!(ids.len() < 100, "the disk does not get full");
    };
    assert_refused(&refused, 503, "Failed to send message", "/api/message");
    assert!(ids.len() > 10, "only {} messages fit", ids.len());
    misses(&system, "ingest", "queue").await;
    assert!(!system.stderr().contains("could not write"), "the disk was filled to its last byte");

    disks.free("archive");
    system.drained().await;
    is_ready(&system).await;
    for _ in 0..5 {
        ids.push(system.send(&data).await);
    }
    system.drained().await;
    let objects = objects(&disks.path("archive"));
    assert_eq!(objects.len(), ids.len());
    assert_eq!(system.queue().await["dead"], 0);
}

#[tokio::test]
async fn a_full_disk_of_logs_stops_nothing_and_is_counted() {
    let launch = Launch::up();
    let folder = launch.path("logs").display().to_string();
    let Some(disks) = Disks::mount(&launch, &[("logs", "size=1m")]) else { return };
    let system = disks.launch(launch.env("LOG_DIR", &folder)).start().await;
    disks.fill("logs");
    let id = system.send(&email("without a log")).await;
    system.object(&id).await;
    eventually("a failure is counted", || async {
        let metrics = Answer::of(system.get("ingest", "/metrics")).await.text;
        let count = metrics.lines().find(|line| line.starts_with("log_write_failures_total{"))?;
        (!count.ends_with(" 0")).then_some(())
    })
    .await;
    is_ready(&system).await;
    disks.free("logs");
    let request = system.get("ingest", "/health").header("x-correlation-id", "logged-again");
    assert_eq!(Answer::of(request).await.status, 200);
    let log = disks.path("logs/ingest.log");
    eventually("the log goes on", || async {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("logged-again")).then_some(())
    })
    .await;
}
