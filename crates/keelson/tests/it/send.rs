//! `keelson send` to the real system: every message ends stored, or is listed with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::launch::{BINARY, Launch};
use crate::system::{System, eventually};

/// A mail with its own subject.
pub(crate) fn mail(subject: &str) -> String {
    format!(
        "From: Ann <ann@example.com>\nDate: Mon, 1 Jan 2024 10:00:00 GMT\nSubject: {subject}\n\nThe text of {subject}.\n"
    )
}

/// Mails with the subjects 0, 1, 2, … in one mbox.
pub(crate) fn mbox(path: &Path, count: usize) {
    let entry = |number| format!("From ann@example.com Mon Jan  1 10:00:00 2024\n{}\n", mail(&format!("{number}")));
    fs::write(path, (0..count).map(entry).collect::<String>()).unwrap();
}

/// `keelson send` to a system, in a folder of its own.
pub(crate) fn send(system: &System, args: &[&str]) -> Launch {
    let data = system.data();
    Launch::new(&[&["send", "--data", data.to_str().unwrap()], args].concat())
}

/// The sums of a run with `--json`, and its exit code.
pub(crate) fn sums(output: &Output) -> (Value, Option<i32>) {
    let text = String::from_utf8_lossy(&output.stdout);
    let sums = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}, {output:?}"));
    (sums, output.status.code())
}

/// The stored objects by their subjects.
pub(crate) async fn stored(system: &System) -> BTreeMap<String, usize> {
    assert_eq!(system.drained().await["dead"], 0);
    let mut subjects = BTreeMap::new();
    for (_, path) in system.objects() {
        let object: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        *subjects.entry(object["email_subject"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    subjects
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/email")
}

fn file_name(place: &Value) -> String {
    place["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// The object without what differs from run to run, its text shortened.
async fn became(system: &System, id: &str) -> Value {
    let mut object: Value = serde_json::from_str(&system.object(id).await).unwrap();
    object.as_object_mut().unwrap().remove("_metadata");
    let content = object["email_content"].as_str().unwrap();
    let start: String = content.chars().take(60).collect();
    object["email_content"] = json!(format!("{start} ({} bytes)", content.len()));
    object
}

#[tokio::test]
async fn forty_eight_odd_mails_end_stored_or_listed() {
    let system = System::up().await;
    let folder = fixtures();
    let launch = send(&system, &["--json", "--resume", "state", folder.to_str().unwrap()]);
    let output = launch.run();
    let (sums, code) = sums(&output);
    assert_eq!(code, Some(65), "{output:?}");
    let mut results = BTreeMap::new();
    let state = fs::read_to_string(launch.path("state")).unwrap();
    for line in state.lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        results.insert(file_name(&line), became(&system, line["message_id"].as_str().unwrap()).await);
    }
    assert_eq!(sums["sent"], results.len());
    let errors = String::from_utf8(output.stderr).unwrap();
    for problem in sums["problems"].as_array().unwrap() {
        let (name, reason) = (file_name(problem), problem["reason"].as_str().unwrap());
        assert!(errors.lines().any(|line| line.contains(&name) && line.ends_with(reason)), "{name}: {errors}");
        results.insert(name, json!(format!("{}: {reason}", problem["problem"].as_str().unwrap())));
    }
    let all: BTreeSet<_> =
        fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(results.keys().cloned().collect::<BTreeSet<_>>(), all);
    assert_eq!(all.len(), 48);
    assert_eq!(system.objects().len(), usize::try_from(sums["sent"].as_u64().unwrap()).unwrap());
    insta::assert_json_snapshot!(results);
}

#[tokio::test]
async fn mbox_lines_and_folders_are_sent_and_what_is_bad_is_named() {
    let system = System::up().await;
    let launch = send(&system, &["mail"]);
    let folder = launch.path("mail");
    fs::create_dir_all(folder.join("cur")).unwrap();
    let escaped = "From ann@example.com Mon Jan  1 10:00:00 2024\nFrom: a@example.com\nDate: x\nSubject: escaped\n\n>From here\n\n";
    fs::write(folder.join("a.mbox"), format!("{escaped}From bob@example.com\n{}", mail("second"))).unwrap();
    let lines = [
        r#"{"email_subject":"line","email_sender":"a","email_timestream":"1","email_content":"x","big":1.0}"#,
        "{bad",
        r#"{"token":"stolen","data":{"email_subject":"wrapped","email_sender":"a","email_timestream":"1","email_content":"x"}}"#,
        r#"{"email_subject":"short"}"#,
    ];
    fs::write(folder.join("b.jsonl"), lines.join("\n")).unwrap();
    fs::write(folder.join("cur/1.host:2,S"), mail("maildir")).unwrap();
    fs::write(folder.join("cur/\u{1b}[31m"), "").unwrap();
    let output = launch.run();
    assert_eq!(output.status.code(), Some(65));
    let errors = String::from_utf8(output.stderr).unwrap();
    let expected = [
        "unreadable: mail/b.jsonl, line 2: not a JSON object on one line",
        "refused: mail/b.jsonl, line 4: 400 Missing required fields in data: email_sender, email_timestream, email_content",
        "unreadable: mail/cur/\u{fffd}[31m: it is empty",
        "error: 3 not sent, each with its reason above",
    ];
    assert_eq!(errors.lines().collect::<BTreeSet<_>>(), expected.into_iter().collect());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("sent 5, already sent 0, refused 1, failed 0, unreadable 2, not sent 0; "), "{text}");
    let subjects: Vec<_> = stored(&system).await.into_keys().collect();
    assert_eq!(subjects, ["escaped", "line", "maildir", "second", "wrapped"]);
    let all: String = system.objects().iter().map(|(_, path)| fs::read_to_string(path).unwrap()).collect();
    assert!(all.contains(r#""email_content":"From here\n""#) && all.contains(r#""big":1.0"#), "{all}");
    assert!(!all.contains("stolen"));
}

#[tokio::test]
async fn a_message_that_is_too_large_is_listed_and_the_rest_is_sent() {
    let system = System::up().await;
    let launch = send(&system, &["--json", "mail"]);
    fs::create_dir(launch.path("mail")).unwrap();
    for (name, text) in [("1", mail("first")), ("2", mail(&"x".repeat(600_000))), ("3", mail("third"))] {
        fs::write(launch.path("mail").join(name), text).unwrap();
    }
    let (sums, code) = sums(&launch.run());
    assert_eq!((code, &sums["sent"], &sums["refused"]), (Some(65), &json!(2), &json!(1)), "{sums}");
    let expected =
        json!([{"file": "mail/2", "position": null, "problem": "refused", "reason": "413 Payload too large"}]);
    assert_eq!(sums["problems"], expected);
    let dry = launch.args(&["send", "--json", "--dry-run", "mail"]).run();
    let (dry, code) = self::sums(&dry);
    assert_eq!((code, &dry["sent"], &dry["problems"][0]["reason"]), (Some(65), &json!(2), &json!("Payload too large")));
    assert_eq!(stored(&system).await.len(), 2);
}

#[tokio::test]
async fn standard_input_is_read_in_every_format() {
    let system = System::up().await;
    let line = r#"{"email_subject":"line","email_sender":"a","email_timestream":"1","email_content":"x"}"#;
    for (args, text) in [(&["-"][..], mail("plain")), (&["--format", "jsonl", "-"], line.to_owned())] {
        let launch = send(&system, args).program(&["/bin/sh", "-c", "exec \"$0\" \"$@\" <input", BINARY]);
        fs::write(launch.path("input"), text).unwrap();
        let output = launch.run();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
    assert_eq!(stored(&system).await.into_keys().collect::<Vec<_>>(), ["line", "plain"]);
}

#[tokio::test]
async fn wrong_targets_end_the_sending_at_once() {
    let nothing = Launch::new(&["send", "mail"]);
    fs::write(nothing.path("mail"), mail("x")).unwrap();
    let failed = |launch: &Launch, code: i32, part: &str| {
        let output = launch.run();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(part), "{errors}");
    };
    failed(&nothing, 69, "nothing runs on");
    failed(&nothing.args(&["send", "mail", "--url", "127.0.0.1:1"]), 64, "set API_TOKEN");
    let with_token = nothing.clone().env("API_TOKEN", "wrong");
    failed(&with_token.args(&["send", "mail", "--url", "127.0.0.1:1"]), 69, "nothing listens there");
    failed(&with_token.args(&["send", "mail", "--url", "ftp://localhost"]), 64, "expected http or https");
    failed(&with_token.args(&["send", "-", "-"]), 64, "`-` can be named once");
    failed(&with_token.args(&["send", "--patience", "soon", "-"]), 64, "--patience");
    failed(&with_token.args(&["send"]), 64, "<PATH>");

    let system = System::up().await;
    let (ingest, archiver) = (system.url("ingest"), system.url("archiver"));
    failed(&with_token.args(&["send", "mail", "--url", &ingest]), 64, "401 Invalid token: set API_TOKEN");
    failed(&with_token.args(&["send", "mail", "--url", &archiver]), 64, "404 Not Found");
    failed(&send(&system, &["absent"]), 65, "absent: it cannot be read: No such file or directory");
    let right = nothing.env("API_TOKEN", &system.token());
    let output = right.args(&["send", "mail", "--url", &ingest]).run();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test]
async fn a_second_run_sends_what_is_new_or_changed_and_the_state_is_no_mail() {
    let system = System::up().await;
    let launch = send(&system, &["--json", "--resume", "state", "."]);
    fs::write(launch.path("a.eml"), mail("a")).unwrap();
    mbox(&launch.path("box"), 3);
    assert_eq!(sums(&launch.run()).0["sent"], 4);
    fs::write(launch.path("a.eml"), mail("changed")).unwrap();
    mbox(&launch.path("box"), 4);
    let (sums, code) = sums(&launch.run());
    assert_eq!((code, &sums["sent"], &sums["already_sent"]), (Some(0), &json!(2), &json!(3)), "{sums}");
    assert_eq!(stored(&system).await.values().sum::<usize>(), 6);
    let output = launch.args(&["send", "--url", &system.url("ingest"), "--resume", "state", "."]);
    let output = output.env("API_TOKEN", &system.token()).run();
    assert_eq!(output.status.code(), Some(64), "another target: {output:?}");
}

#[tokio::test]
async fn progress_is_shown_on_a_terminal_alone() {
    let Some(script) = chassis::testing::require_tool("script") else { return };
    let system = System::up().await;
    let launch = send(&system, &["box"]);
    mbox(&launch.path("box"), 300);
    let piped = launch.run();
    assert_eq!(String::from_utf8(piped.stderr).unwrap(), "");
    let line = format!("exec {BINARY} send --data {} box", system.data().display());
    let terminal = launch.args(&[]).program(&[script.to_str().unwrap(), "-qec", &line, "/dev/null"]);
    let shown = terminal.env("TERM", "xterm").env("SHELL", "/bin/sh").run();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains(" sent, ") && text.contains("/s") && text.contains("KiB of "), "{text}");
    assert!(eventually("sums", || text.contains("sent 300, already sent 0").then_some(true)).await);
}
