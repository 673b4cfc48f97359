//! `keelson dlq` and `keelson send` when nothing runs on the data folder: they open the queue themselves.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::dlq::{done, refused, with_letters};
use crate::launch::{BINARY, Launch};
use crate::send::{mbox, stored, sums};
use crate::system::{Answer, System, email, eventually, files};

/// What a system leaves that has run and was stopped.
async fn stopped() -> Launch {
    let mut system = System::up().await;
    assert_eq!(system.stop().await.code(), Some(0));
    system.launch.clone()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = files(folder).iter().map(|path| path.display().to_string()).collect();
    names.sort();
    names
}

/// Runs a command that changes something; answers its output without the audit line.
fn changed(launch: &Launch, args: &[&str], action: &str, count: u64) -> String {
    let output = launch.args(&[&["dlq"], args].concat()).run();
    let audit = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{audit}");
    let expected = format!("count={count}");
    assert!(audit.lines().count() == 1 && audit.contains(action) && audit.contains(&expected), "{audit}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn dead_letters_of_a_stopped_system_are_listed_sent_back_and_deleted() {
    let launch = Launch::up();
    let (mut system, ids) = with_letters(&launch, 4).await;
    let (running, shown) = (done(&launch, &["list", "--json"]), done(&launch, &["show", &ids[0], "--json"]));
    system.stop().await;
    assert_eq!(done(&launch, &["list", "--json"]), running, "the same as from the running system");
    assert_eq!(done(&launch, &["show", &ids[0], "--json"]), shown);
    assert!(done(&launch, &["list", "--limit", "2"]).ends_with("2 of 4; --limit shows more, up to 1000\n"));
    assert!(done(&launch, &["show", &ids[0]]).contains("attribute  source=elsewhere\n"));
    assert!(refused(&launch, &["redrive", &ids[0], "unknown"], 1).contains("no dead letter unknown;"));
    assert!(refused(&launch, &["purge", &ids[0]], 64).contains("add --yes"));

    let text = changed(&launch, &["redrive", &ids[0]], "redrive_dead_letters", 1);
    assert_eq!(text, "1 dead letter went back to the queue\n");
    let text = changed(&launch, &["purge", "--yes", &ids[1], &ids[2]], "purge_dead_letters", 2);
    assert_eq!(text, "2 dead letters deleted\n");
    let left: Value = serde_json::from_str(&done(&launch, &["list", "--json"])).unwrap();
    assert_eq!((&left["count"], &left["dead_letters"][0]["id"]), (&json!(1), &json!(ids[3])));
    changed(&launch, &["purge", "--all", "--yes"], "purge_dead_letters", 1);
    assert_eq!(done(&launch, &["list"]), "no dead letters\n");

    let system = launch.start().await;
    assert_eq!(system.drained().await["dead"], 1, "what went back is as bad as before");
    assert!(done(&launch, &["list"]).contains(&ids[0]), "through the running system");
}

#[tokio::test]
async fn where_no_system_was_nothing_is_made() {
    let launch = Launch::new(&[]);
    mbox(&launch.path("box"), 1);
    let commands: [&[&str]; 4] =
        [&["dlq", "list"], &["dlq", "show", "x"], &["dlq", "purge", "--all", "--yes"], &["send", "box"]];
    let refuse_all = |launch: &Launch| {
        for args in commands {
            let output = launch.args(args).run();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(69), 0), "{args:?}: {errors}");
            assert!(errors.starts_with("error: nothing runs on ") && errors.lines().count() == 1, "{errors}");
        }
    };
    refuse_all(&launch);
    assert!(!launch.data().exists());
    fs::create_dir(launch.data()).unwrap();
    refuse_all(&launch);
    assert_eq!(names(&launch.data()), Vec::<String>::new());
    refuse_all(&launch.clone().env("QUEUE_URL", "memory:"));
    let text = refused(&launch.clone().env("QUEUE_URL", "oracle:x"), &["list"], 64);
    assert!(text.contains("unknown queue scheme `oracle`"), "{text}");
}

#[tokio::test]
async fn what_is_sent_while_nothing_runs_is_stored_once_by_the_next_system() {
    let launch = stopped().await;
    mbox(&launch.path("box"), 300);
    let send = launch.args(&["send", "--json", "--resume", "state", "box"]);
    let (first, code) = sums(&send.run());
    assert_eq!((code, &first["sent"], &first["running"]), (Some(0), &json!(300), &json!(false)), "{first}");
    assert_eq!(first["target"], launch.data().display().to_string());
    mbox(&launch.path("box"), 301);
    let (second, _) = sums(&send.run());
    assert_eq!((&second["sent"], &second["already_sent"]), (&json!(1), &json!(300)), "{second}");

    let system = launch.start().await;
    let (third, _) = sums(&send.run());
    let expected = (&json!(0), &json!(301), &json!(true));
    assert_eq!((&third["sent"], &third["already_sent"], &third["running"]), expected, "{third}");
    let subjects = stored(&system).await;
    assert_eq!((subjects.len(), subjects.values().sum::<usize>()), (301, 301));
    let (_, path) = &system.objects()[0];
    let object: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let metadata = &object["_metadata"];
    assert_eq!((&metadata["source"], &metadata["receive_count"]), (&json!("/api/message"), &json!(1)));
    assert!(metadata["correlation_id"].is_string() && metadata["trace_id"].is_string(), "{metadata}");
}

#[tokio::test]
async fn the_rules_are_those_of_the_service() {
    let launch = stopped().await;
    let lines = [
        r#"{"email_subject":"good","email_sender":"a","email_timestream":"1","email_content":"x"}"#.to_owned(),
        r#"{"email_subject":"short"}"#.to_owned(),
        r#"{"email_subject":"","email_sender":"a","email_timestream":"1","email_content":"x","_metadata":1}"#.to_owned(),
        json!({"email_subject": "s", "email_sender": "a", "email_timestream": "1", "email_content": "x".repeat(1 << 20)})
            .to_string(),
    ];
    fs::write(launch.path("list.jsonl"), lines.join("\n")).unwrap();
    let output = launch.args(&["send", "list.jsonl"]).run();
    assert_eq!(output.status.code(), Some(65));
    let errors = String::from_utf8(output.stderr).unwrap();
    for expected in [
        "line 2: Missing required fields in data: email_sender, email_timestream, email_content",
        "line 3: Validation failed (email_subject: String should have at least 1 character; _metadata: Extra inputs are not permitted)",
        "line 4: Payload too large",
    ] {
        assert!(errors.contains(&format!("refused: list.jsonl, {expected}\n")), "{errors}");
    }
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("sent 1, ") && text.contains(", refused 3, "), "{text}");
    let folder = launch.data().display().to_string();
    let last = format!("nothing runs on {folder}: what was sent waits in its queue for `keelson up`\n");
    assert!(text.ends_with(&last), "{text}");
    let system = launch.start().await;
    assert_eq!(stored(&system).await.into_keys().collect::<Vec<_>>(), ["good"]);
}

#[tokio::test]
async fn a_sender_that_owns_the_folder_keeps_everybody_else_out() {
    let launch = stopped().await;
    mbox(&launch.path("box"), 3);
    let line = "(cat box; until [ -e done ]; do sleep 0.05; done) | \"$0\" send --resume state -";
    let mut sender = launch.args(&[]).program(&["/bin/sh", "-c", line, BINARY]).spawn();
    let begun = || fs::read_to_string(launch.path("state")).is_ok_and(|text| text.ends_with('\n'));
    eventually("the sending has begun", || begun().then_some(())).await;
    for args in [&["up"][..], &["dlq", "list"], &["send", "box"]] {
        let output = launch.args(args).run();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(69), 0), "{args:?}: {errors}");
        assert!(errors.contains("is in use by process "), "{errors}");
    }
    fs::write(launch.path("done"), "").unwrap();
    assert_eq!(sender.ended().await.code(), Some(0));
    drop(sender);
    let system = launch.start().await;
    assert_eq!(stored(&system).await.values().sum::<usize>(), 3);
}

#[tokio::test]
async fn what_a_killed_system_left_is_no_running_system() {
    let mut system = System::up().await;
    let launch = system.launch.clone();
    fs::remove_dir_all(launch.data().join("objects")).unwrap();
    let answer = Answer::of(
        system.post("ingest", "/api/message").json(&json!({ "data": email("before"), "token": system.token() })),
    );
    assert_eq!(answer.await.status, 200);
    system.kill();
    let run_file = launch.data().join("run.json");
    assert!(run_file.exists());
    assert_eq!(done(&launch, &["list"]), "no dead letters\n");
    assert!(!run_file.exists(), "it would mislead others");
    mbox(&launch.path("box"), 5);
    assert_eq!(sums(&launch.args(&["send", "--json", "box"]).run()).0["running"], false);
    drop(system);
    let system = launch.start().await;
    assert_eq!(stored(&system).await.values().sum::<usize>(), 6);
}

#[tokio::test]
async fn a_dry_run_tells_what_would_still_be_sent_and_changes_nothing() {
    let launch = stopped().await;
    mbox(&launch.path("box"), 3);
    let dry = launch.args(&["send", "--json", "--dry-run", "--resume", "state", "box"]);
    let told = |sent: u64, already_sent: u64| {
        let (sums, code) = sums(&dry.run());
        assert_eq!(code, Some(0));
        assert_eq!((&sums["sent"], &sums["already_sent"]), (&json!(sent), &json!(already_sent)), "{sums}");
    };
    told(3, 0);
    assert!(!launch.path("state").exists());
    assert_eq!(launch.args(&["send", "--resume", "state", "box"]).run().status.code(), Some(0));
    let mut state = fs::read(launch.path("state")).unwrap();
    state.extend(b"{\"key\":\"torn");
    fs::write(launch.path("state"), &state).unwrap();
    mbox(&launch.path("box"), 5);
    told(2, 3);
    assert_eq!(fs::read(launch.path("state")).unwrap(), state);
    let elsewhere = launch.args(&["send", "--dry-run", "--resume", "state", "box", "--url", "127.0.0.1:1"]).run();
    assert_eq!(elsewhere.status.code(), Some(64), "{elsewhere:?}");
}
