//! `keelson archive`: what is stored is listed, printed and found, wherever it is, and nothing is changed.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::aws::{Fault, Service};
use tokio::time::sleep;

use crate::cloud::{BUCKET, Cloud, QUEUE};
use crate::launch::{BINARY, Launch, STRONG_TOKEN};
use crate::system::{Answer, System, email, eventually, files};

/// Runs a command that succeeds and says nothing beside its result.
pub(crate) fn done(launch: &Launch, args: &[&str]) -> String {
    let output = launch.args(&[&["archive"], args].concat()).run();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs one that fails; answers both outputs.
pub(crate) fn fails(launch: &Launch, args: &[&str], code: i32) -> (String, String) {
    let output = launch.args(&[&["archive"], args].concat()).run();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The ids that `ls` shows, each in a JSON object of its own.
pub(crate) fn listed(launch: &Launch, args: &[&str]) -> Vec<String> {
    let text = done(launch, &[&["ls", "--json"], args].concat());
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    text.lines().map(id).collect()
}

/// Sends messages with the correlation ids `cid-0`, `cid-1` and so on; answers their ids.
pub(crate) async fn send(system: &System, token: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let body = json!({ "data": email(&format!("number {number}")), "token": token });
        let request = system.post("ingest", "/api/message").header("x-correlation-id", format!("cid-{number}"));
        let answer = Answer::of(request.json(&body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        ids.push(answer.json()["message_id"].as_str().unwrap().to_owned());
    }
    ids
}

/// What holds for an archive of three messages in either layout.
pub(crate) fn check(launch: &Launch, ids: &[String]) {
    let mut shown = listed(launch, &[]);
    shown.sort();
    let mut sent = ids.to_vec();
    sent.sort();
    assert_eq!(shown, sent);
    assert_eq!(listed(launch, &["--limit", "2"]).len(), 2);
    assert_eq!(listed(launch, &["--since", "2020-01-01"]).len(), 3);
    for elsewhen in [["--day", "2020-01-01"], ["--until", "2020-01-01"], ["--since", "2999-01-01"]] {
        assert_eq!(done(launch, &[&["ls"], &elsewhen[..]].concat()), "no messages\n");
    }
    let table = done(launch, &["ls"]);
    assert!(table.starts_with("ID  ") && table.lines().count() == 4, "{table}");

    let record: Value = serde_json::from_str(&done(launch, &["cat", &ids[1]])).unwrap();
    assert_eq!(record["email_subject"], "number 1");
    assert_eq!(record["_metadata"]["message_id"], *ids[1]);
    let day = &record["_metadata"]["sent_at"].as_str().unwrap()[..10];
    assert_eq!(done(launch, &["cat", &ids[0], &ids[2], "--day", day]).lines().count(), 2);

    let by_correlation_id = done(launch, &["find", "--correlation-id", "cid-2"]);
    assert!(by_correlation_id.lines().count() == 2 && by_correlation_id.contains(&ids[2]), "{by_correlation_id}");
    let by_text = done(launch, &["find", "--text", "number 1", "--json", "--day", day]);
    assert_eq!(serde_json::from_str::<Value>(&by_text).unwrap(), record);
    assert_eq!(done(launch, &["find", "--day", day, "--json"]).lines().count(), 3);
    assert!(done(launch, &["find", "--id", &ids[0], "--text", "number 0"]).contains(&ids[0]));
    assert!(fails(launch, &["find"], 64).1.contains("what is to be found?"));
    for absent in [["--text", "Number 1"], ["--correlation-id", "cid-9"], ["--id", "unknown"]] {
        let (text, errors) = fails(launch, &[&["find"], &absent[..]].concat(), 1);
        assert_eq!((text.as_str(), errors.as_str()), ("", "error: no message matches\n"));
    }
    let (text, errors) = fails(launch, &["cat", "unknown", &ids[0], "--day", day], 1);
    assert_eq!(text.lines().count(), 1);
    assert!(errors.contains(&format!("no message unknown on {day} in the archive")), "{errors}");
}

#[tokio::test]
async fn what_is_stored_is_shown_while_the_system_runs_and_when_it_has_stopped() {
    let mut system = System::up().await;
    let ids = send(&system, &system.token(), 3).await;
    system.drained().await;
    let launch = system.launch.clone();
    check(&launch, &ids);
    assert_eq!(system.stop().await.code(), Some(0));
    let before = files(&launch.data());
    check(&launch, &ids);
    assert_eq!(files(&launch.data()), before, "a look has changed something");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_on_s3_is_shown_and_a_missing_permission_is_named() {
    let cloud = Cloud::start().await;
    let system = cloud.serve(&["ingest", "archiver"]).start().await;
    let ids = send(&system, STRONG_TOKEN, 3).await;
    eventually("an empty queue", || (cloud.fake.depth(QUEUE) == 0).then_some(())).await;
    let launch = cloud.serve(&[]);
    check(&launch, &ids);
    cloud.fake.put_object(BUCKET, "rollups/2025/06/09/1.index.json", "{\"version\":1,");
    let (text, errors) = fails(&launch, &["ls", "--json"], 1);
    assert_eq!(text.lines().count(), 3);
    assert!(errors.starts_with("damaged: rollups/2025/06/09/1.index.json: it is no index: "), "{errors}");
    for (action, permission, args) in [
        ("ListObjectsV2", "s3:ListBucket on arn:aws:s3:::archive", &["ls"][..]),
        ("GetObject", "s3:GetObject on arn:aws:s3:::archive/*", &["find", "--text", "x"]),
    ] {
        let denied = cloud.fake.inject(Fault::error(403, "AccessDenied").on_service(Service::S3).on(action));
        let (_, errors) = fails(&launch, args, 69);
        assert!(errors.contains(permission), "{errors}");
        cloud.fake.heal(denied);
    }
}

#[test]
fn where_nothing_is_stored_nothing_is_made() {
    let launch = Launch::new(&[]);
    for args in [&["ls"][..], &["cat", "x"], &["find", "--text", "x"]] {
        let (text, errors) = fails(&launch, args, 69);
        assert_eq!(text, "");
        assert!(errors.starts_with("error: there is no archive in ") && errors.lines().count() == 1, "{errors}");
    }
    assert!(!launch.data().exists());
    for (args, expected) in [
        (&["ls", "--day", "yesterday"][..], "invalid value 'yesterday'"),
        (&["ls", "--day", "2025-06-09", "--since", "2025-06-09"], "cannot be used with"),
        (&["cat"], "required"),
    ] {
        let (_, errors) = fails(&launch, args, 64);
        assert!(errors.contains(expected), "{errors}");
    }
    let (_, errors) = fails(&launch.clone().env("OBJECTS_URL", "memory:"), &["ls"], 64);
    assert!(errors.contains("in memory"), "{errors}");
}

/// Makes an archive of more than a pipe holds.
fn fill(launch: &Launch) {
    let folder = launch.data().join("objects/messages/2025/06/09");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..5_000 {
        fs::write(folder.join(format!("{number:05}.json")), "{}").unwrap();
    }
}

/// Interrupts a command after a while.
async fn interrupted(mut command: System) {
    sleep(Duration::from_millis(700)).await;
    let begun = Instant::now();
    command.signal("INT");
    assert_eq!(command.ended().await.code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupt_ends_a_look_at_once() {
    let cloud = Cloud::start().await;
    cloud.fake.inject(Fault::stall(Duration::from_secs(60)).on_service(Service::S3));
    interrupted(cloud.serve(&[]).args(&["archive", "ls"]).spawn()).await;

    let launch = Launch::new(&[]);
    fill(&launch);
    // A reader that has the pipe open and does not read.
    let line = "mkfifo pipe; sleep 20 <pipe & exec \"$0\" archive ls >pipe";
    interrupted(launch.program(&["/bin/sh", "-c", line, BINARY]).spawn()).await;
}

#[test]
fn a_reader_that_leaves_ends_the_look_quietly() {
    let launch = Launch::new(&[]);
    fill(&launch);
    let line = "\"$0\" archive ls | head -n 3; exit ${PIPESTATUS[0]}";
    let output = launch.program(&["/bin/bash", "-c", line, BINARY]).run();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
}
