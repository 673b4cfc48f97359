//! `ARCHIVE_ROLLUP` end to end: few calls, nothing lost, and everything is found again.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use testkit::aws::Service;
use tokio::time::sleep;

use crate::archive_command::{check, fails, listed, send};
use crate::aws_pipeline::{send_many, until_empty};
use crate::cloud::{BUCKET, Cloud};
use crate::dice::Dice;
use crate::launch::{Launch, STRONG_TOKEN};
use crate::restart::{CLIENTS, LONGEST_LIFE, load, results};
use crate::system::{System, files};

/// What lies under `rollups` that ends like this.
fn rollups(system: &System, end: &str) -> Vec<PathBuf> {
    let all = files(&system.data().join("objects/rollups"));
    all.into_iter().filter(|path| path.to_str().unwrap().ends_with(end)).collect()
}

/// Waits until the archiver has all messages: what it has not received when the end begins stays on the queue.
async fn received(system: &System) {
    while system.queue().await["visible"] != 0 {
        sleep(Duration::from_millis(10)).await;
    }
}

/// 100 sends, 100 receives and 100 deletions for 1,000 messages, and a few more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolled_up_a_thousand_messages_take_three_hundred_and_ten_calls() {
    const MESSAGES: usize = 2_000;
    let cloud = Cloud::start().await;
    let ingest = cloud.serve(&["ingest"]).start().await;
    send_many(&ingest, 1).await;
    cloud.fake.reset_calls();
    send_many(&ingest, MESSAGES).await;
    let archiver = cloud.serve(&["archiver"]).env("VISIBILITY_TIMEOUT", "30s").env("ARCHIVE_ROLLUP", "100MB,2s");
    let archiver = archiver.start().await;
    until_empty(&cloud).await;
    let counts = cloud.fake.call_counts();
    let all: u64 = counts.by_service.values().sum();
    println!("{all} calls for {MESSAGES} messages: {counts:?}");
    assert!(all <= 310 * MESSAGES as u64 / 1_000, "{all} calls for {MESSAGES} messages: {counts:?}");
    drop(archiver);
    assert_eq!(listed(&cloud.serve(&[]), &[]).into_iter().collect::<BTreeSet<_>>().len(), MESSAGES + 1);
}

/// Messages that come one by one gather on the queue while their roll-up is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickle_of_messages_is_received_in_batches() {
    const MESSAGES: u64 = 200;
    let cloud = Cloud::start().await;
    let _archiver = cloud.serve(&["archiver"]).env("ARCHIVE_ROLLUP", "100MB,5s").start().await;
    cloud.fake.reset_calls();
    let begun = Instant::now();
    for number in 0..MESSAGES {
        cloud.fake.send(crate::cloud::QUEUE, &format!("{{\"number\":{number}}}"), &[]);
        sleep(Duration::from_millis(20)).await;
    }
    until_empty(&cloud).await;
    let receives = cloud.fake.calls("ReceiveMessage");
    println!("{receives} receives for {MESSAGES} messages in {:?}", begun.elapsed());
    assert!(receives <= MESSAGES / 4, "{receives} receives for {MESSAGES} messages");
}

async fn kill_under_load(rounds: usize) {
    let launch = Launch::up().env("MAX_RECEIVE_COUNT", "1").env("ARCHIVE_ROLLUP", "20KB,150ms");
    let launch = launch.env("ARCHIVE_ROLLUP_COMPRESSION", "zstd");
    let (mut dice, mut accepted) = (Dice::new(), BTreeSet::new());
    for round in 0..rounds {
        let mut system = launch.start().await;
        let clients = load(&system, &std::sync::Arc::default());
        let life = LONGEST_LIFE.mul_f64(dice.fraction());
        sleep(life).await;
        system.kill();
        drop(system);
        let load = results(clients).await;
        println!("round {round}: killed after {life:?}, {} messages accepted", load.accepted.len());
        accepted.extend(load.accepted);
    }
    assert!(accepted.len() > rounds, "there was no load: {} messages", accepted.len());
    let system = launch.start().await;
    let queue = system.drained().await;
    assert_eq!(queue["dead"], 0, "{queue}");
    let shown = listed(&launch, &[]);
    let stored: BTreeSet<_> = shown.iter().cloned().collect();
    assert_eq!(shown.len(), stored.len(), "a message is shown twice");
    let lost: Vec<_> = accepted.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged messages are lost: {lost:?}", lost.len(), accepted.len());
    assert!(stored.len() <= accepted.len() + rounds * CLIENTS, "{} of {}", stored.len(), accepted.len());
    assert!(system.objects().is_empty() && !rollups(&system, ".zst").is_empty(), "nothing was rolled up");
}

#[tokio::test]
async fn kill_nine_under_load_loses_no_message_of_a_roll_up() {
    kill_under_load(4).await;
}

#[tokio::test]
#[ignore = "the long run of `./test full`"]
async fn kill_nine_under_load_loses_no_message_of_a_roll_up_in_fifty_rounds() {
    kill_under_load(50).await;
}

#[tokio::test]
async fn what_is_rolled_up_is_shown_while_the_system_runs_and_when_it_has_stopped() {
    for compression in ["none", "zstd"] {
        let launch = Launch::up().env("ARCHIVE_ROLLUP", "10MB,1h").env("ARCHIVE_ROLLUP_COMPRESSION", compression);
        let mut system = launch.start().await;
        let ids = send(&system, &system.token(), 3).await;
        received(&system).await;
        assert_eq!(system.stop().await.code(), Some(0));
        assert_eq!((rollups(&system, ".index.json").len(), system.objects().len()), (1, 0), "stored at the end");
        check(&launch, &ids);
        let _again = launch.start().await;
        check(&launch, &ids);
        fs::remove_file(&rollups(&system, ".index.json")[0]).unwrap();
        check(&launch, &ids);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rolled_up_on_s3_is_shown_and_encrypted() {
    let cloud = Cloud::start().await;
    let ingest = cloud.serve(&["ingest"]).start().await;
    let ids = send(&ingest, STRONG_TOKEN, 3).await;
    let _archiver = cloud.serve(&["archiver"]).env("ARCHIVE_ROLLUP", "10MB,1s").start().await;
    until_empty(&cloud).await;
    let objects = cloud.fake.objects(BUCKET);
    let types: Vec<_> = objects.values().map(|object| object.headers["content-type"].as_str()).collect();
    assert_eq!(types, ["application/json", "application/x-ndjson"]);
    let encryption = |object: &testkit::aws::Object| object.headers["x-amz-server-side-encryption"].clone();
    assert!(objects.values().all(|object| encryption(object) == "AES256"));
    check(&cloud.serve(&[]), &ids);
}

#[tokio::test]
async fn a_damaged_roll_up_is_named_and_the_others_are_shown() {
    let launch = Launch::up().env("ARCHIVE_ROLLUP", "1KB,1h");
    let mut system = launch.start().await;
    send(&system, &system.token(), 6).await;
    received(&system).await;
    assert_eq!(system.stop().await.code(), Some(0));
    let data = rollups(&system, ".ndjson");
    let text = fs::read(&data[0]).unwrap();
    fs::write(&data[0], &text[..text.len() - 10]).unwrap();
    let name = data[0].file_name().unwrap().to_str().unwrap();
    for (args, shown) in [(&["ls", "--json"][..], 5..6), (&["find", "--text", "number", "--json"], 4..6)] {
        let (text, errors) = fails(&launch, args, 1);
        assert!(shown.contains(&text.lines().count()), "{args:?}: {text}{errors}");
        assert!(errors.contains("damaged: rollups/") && errors.contains(name), "{errors}");
        assert!(
            errors.ends_with("error: something is damaged, see above; the rest was read\n") || errors.contains("times")
        );
    }
}

fn passed(e2e: &Launch, expected: &str) {
    let outcome = e2e.run();
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&outcome.stderr));
    assert!(text.contains("E2E TEST PASSED") && text.contains(expected), "{text}");
}

#[tokio::test]
async fn e2e_finds_its_message_in_a_roll_up() {
    let launch = Launch::up().env("ARCHIVE_ROLLUP", "10MB,3s");
    let system = launch.start().await;
    passed(&launch.args(&["e2e"]), "Test file deleted");
    assert!(rollups(&system, "").is_empty(), "the test file stays");
    let late = launch.args(&["e2e", "--timeout", "200ms"]).run();
    let errors = String::from_utf8(late.stderr).unwrap();
    assert!(late.status.code() == Some(1) && errors.contains("longer than its age"), "{errors}");
    send(&system, &system.token(), 1).await;
    received(&system).await;
    passed(&launch.args(&["e2e"]), "shares its file with others");
    assert_eq!(rollups(&system, ".ndjson").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e2e_finds_its_message_in_a_roll_up_on_s3() {
    let cloud = Cloud::start().await;
    let launch = cloud.serve(&["ingest", "archiver"]).env("ARCHIVE_ROLLUP", "10MB,1s");
    let system = launch.start().await;
    let e2e = launch.args(&["e2e"]).env("ALB_DNS", &system.address("ingest")).env("API_TOKEN", STRONG_TOKEN);
    passed(&e2e.unset("SSM_PARAMETER_NAME").unset("SQS_QUEUE_URL"), "Test file deleted");
    assert!(cloud.fake.objects(BUCKET).is_empty(), "the test file stays");
    assert!(cloud.fake.calls_to(Service::S3) > 0);
}
