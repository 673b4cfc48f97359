//! `keelson doctor` on one machine: the data folder, the disk, what runs there, and how it looks on a terminal.

use std::fs;
use std::net::TcpListener;
use std::time::Instant;

use chassis::testing::require_tool;
use serde_json::Value;

use crate::launch::{BINARY, Launch};
use crate::system::email;

/// The check of this name, and the exit code.
fn look(launch: &Launch, name: &str) -> (Value, Option<i32>) {
    let output = launch.args(&["doctor", "--json"]).run();
    let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let check = all["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
    (check.unwrap_or_else(|| panic!("no {name}: {all:#}")).clone(), output.status.code())
}

fn expect(launch: &Launch, name: &str, (status, text): (&str, &str), code: i32) {
    let (check, found) = look(launch, name);
    let fits = check["status"] == status && check["text"].as_str().unwrap().contains(text);
    assert!(fits && found == Some(code), "expected {status} {text:?} and {code}, found {found:?} {check:#}");
    assert!(status != "failed" || !check["fix"].as_array().unwrap().is_empty(), "without a fix: {check:#}");
}

#[tokio::test]
async fn a_folder_is_told_before_during_and_after_its_system() {
    let launch = Launch::up();
    expect(&launch, "data_folder", ("not_checked", "not there yet"), 0);
    expect(&launch, "running", ("not_checked", "nothing runs"), 0);
    assert!(!launch.data().exists(), "a look makes a folder");

    let mut system = launch.start().await;
    expect(&launch, "data_folder", ("ok", &format!("process {} has it", system.pid())), 0);
    expect(&launch, "running", ("ok", "archiver is ready, gateway is ready, ingest is ready"), 0);
    for name in ["queue", "objects", "api_token", "disk"] {
        expect(&launch, name, ("ok", ""), 0);
    }
    let output = launch.args(&["doctor"]).run();
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&system.token()), "{output:?}");

    system.signal("KILL");
    system.ended().await;
    expect(&launch, "running", ("failed", "nothing listens there"), 1);
    expect(&launch, "data_folder", ("ok", "nobody has it"), 1);
    launch.start().await;
}

#[tokio::test]
async fn a_system_that_is_not_ready_names_what_is_down() {
    let system = Launch::up().start().await;
    fs::remove_dir_all(system.data().join("objects")).unwrap();
    system.send(&email("lost")).await;
    let begun = Instant::now();
    while look(&system.launch, "running").0["status"] != "failed" {
        assert!(begun.elapsed().as_secs() < 20, "still ready");
    }
    expect(&system.launch, "running", ("failed", "archiver is not_ready (objects down)"), 1);
    expect(&system.launch, "objects", ("not_checked", "is not there"), 1);
}

#[tokio::test]
async fn services_that_hang_are_asked_at_once() {
    let system = Launch::up().start().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = system.data().join("run.json");
    let mut run: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    for number in 0..10 {
        run["services"][format!("hanging-{number}")] = format!("http://{}", silent.local_addr().unwrap()).into();
    }
    fs::write(&file, run.to_string()).unwrap();
    let begun = Instant::now();
    expect(&system.launch, "running", ("failed", "hanging-9 at http://"), 1);
    assert!(begun.elapsed().as_secs() < 15, "one after the other they take 30 s: {:?}", begun.elapsed());
}

#[test]
fn what_cannot_work_on_a_disk_has_a_fix() {
    let launch = Launch::up();
    fs::write(launch.data(), "a file").unwrap();
    expect(&launch, "data_folder", ("failed", "is not a folder"), 1);

    let launch = Launch::up();
    fs::create_dir_all(launch.data().join("queue.db")).unwrap();
    fs::write(launch.data().join("objects"), "a file").unwrap();
    expect(&launch, "queue", ("failed", "is something else"), 1);
    expect(&launch, "objects", ("failed", "is something else"), 1);

    let launch = Launch::up().env("QUEUE_URL", "memory:").env("OBJECTS_URL", "memory:");
    expect(&launch, "queue", ("warning", "forgets everything"), 0);
    expect(&launch, "objects", ("warning", "forgets everything"), 0);
}

#[test]
fn wrong_usage_is_64() {
    for launch in [
        Launch::new(&["doctor", "nothing"]),
        Launch::new(&["doctor", "--archiver", "https://user:pass@x"]),
        Launch::new(&["doctor"]).env("QUEUE_URL", "sqs:messages"),
        Launch::new(&["doctor"]).env("S3_BUCKET_NAME", "Not A Bucket"),
        Launch::new(&["doctor"]).env("RATE_LIMIT", "lots"),
    ] {
        let output = launch.run();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("pass@"), "{output:?}");
    }
}

#[test]
fn a_terminal_has_marks_and_colour_unless_it_wants_none() {
    let Some(script) = require_tool("script") else { return };
    let line = format!("{} -qec '{BINARY} doctor' /dev/null", script.display());
    let terminal =
        Launch::up().program(&["/bin/sh", "-c", &line]).args(&[]).env("TERM", "xterm").env("SHELL", "/bin/sh");
    let shown = |launch: &Launch| String::from_utf8(launch.run().stdout).unwrap();
    let text = shown(&terminal);
    assert!(text.contains("\x1b[32m✓\x1b[0m disk"), "{text:?}");
    let plain = shown(&terminal.env("NO_COLOR", "1"));
    assert!(plain.contains("ok disk") && plain.is_ascii(), "{plain:?}");
}
