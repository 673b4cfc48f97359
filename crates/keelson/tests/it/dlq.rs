//! `keelson dlq` on real dead letters.

use chassis::testing::require_tool;
use serde_json::Value;

use crate::archive::plant;
use crate::launch::{BINARY, Launch};
use crate::production::serve;
use crate::system::System;

/// A running system with as many dead letters, and their ids.
pub(crate) async fn with_letters(launch: &Launch, count: usize) -> (System, Vec<String>) {
    let ids = plant(launch, &vec![("elsewhere", "[1,\n\"\u{1b}[31m\"]"); count]).await;
    let system = launch.start().await;
    assert_eq!(system.drained().await["dead"], count);
    (system, ids)
}

pub(crate) fn done(launch: &Launch, args: &[&str]) -> String {
    let output = launch.args(&[&["dlq"], args].concat()).run();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn refused(launch: &Launch, args: &[&str], code: i32) -> String {
    let output = launch.args(&[&["dlq"], args].concat()).run();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn dead_letters_are_listed_and_shown() {
    let launch = Launch::up();
    let (_system, ids) = with_letters(&launch, 3).await;
    let text = done(&launch, &["list"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("ID  ") && lines[0].ends_with("REASON"), "{text}");
    for id in &ids {
        let line = lines.iter().find(|line| line.starts_with(id)).unwrap();
        assert!(line.contains("not a JSON object") && line.contains("s  "), "{line}");
    }
    let two = done(&launch, &["list", "--limit", "2"]);
    assert!(two.ends_with("2 of 3; --limit shows more, up to 1000\n"), "{two}");
    let json: Value = serde_json::from_str(&done(&launch, &["list", "--json"])).unwrap();
    assert_eq!(json["dead_letters"].as_array().unwrap().len(), 3);

    let text = done(&launch, &["show", &ids[0]]);
    assert!(text.starts_with(&format!("id         {}\nreason     ", ids[0])), "{text}");
    assert!(text.contains("attribute  source=elsewhere\n") && text.ends_with("\n\n[1,\n\"\u{1b}[31m\"]\n"), "{text}");
    let json: Value = serde_json::from_str(&done(&launch, &["show", &ids[0], "--json"])).unwrap();
    assert_eq!(json["body"], "[1,\n\"\u{1b}[31m\"]");
    for absent in ["unknown", "../../queue", "a/b?c"] {
        assert!(
            refused(&launch, &["show", absent], 1).contains(&format!("no dead letter {absent}; `keelson dlq list`"))
        );
    }
}

#[tokio::test]
async fn dead_letters_are_sent_back_and_deleted() {
    let launch = Launch::up();
    let (system, ids) = with_letters(&launch, 3).await;
    let text = refused(&launch, &["redrive", &ids[0], "unknown"], 1);
    assert!(text.contains("no dead letter unknown;"), "{text}");
    assert_eq!(system.queue().await["dead"], 3, "one wrong id stops all");
    assert_eq!(done(&launch, &["redrive", &ids[0], &ids[0]]), "1 dead letter went back to the queue\n");
    assert_eq!(system.drained().await["dead"], 3, "it is as bad as before");
    assert_eq!(done(&launch, &["redrive", "--all"]), "3 dead letters went back to the queue\n");
    assert_eq!(system.drained().await["dead"], 3);

    let text = refused(&launch, &["purge", &ids[0], "unknown", "--yes"], 1);
    assert!(text.contains("no dead letter unknown;"), "{text}");
    assert_eq!(done(&launch, &["purge", &ids[0], &ids[0], "--yes"]), "1 dead letter deleted\n");
    assert!(refused(&launch, &["show", &ids[0]], 1).contains("no dead letter"));
    assert_eq!(system.queue().await["dead"], 2);

    let text = refused(&launch, &["purge", "--all"], 64);
    assert!(text.contains("no terminal to ask: add --yes"), "{text}");
    assert_eq!(system.queue().await["dead"], 2);
    assert_eq!(done(&launch, &["purge", "--all", "--yes"]), "2 dead letters deleted\n");
    assert_eq!(done(&launch, &["list"]), "no dead letters\n");
    for args in [
        &["purge"][..],
        &["redrive"],
        &["redrive", "--all", "x"],
        &["purge", "--all", "x"],
        &["list", "--limit", "0"],
        &["list", "--url", "x"],
    ] {
        refused(&launch, args, 64);
    }
}

#[tokio::test]
async fn a_person_is_asked_before_anything_is_deleted() {
    let Some(script) = require_tool("script") else { return };
    let launch = Launch::up();
    let (system, _) = with_letters(&launch, 2).await;
    for (answer, left, said) in [("n", 2, "nothing was deleted"), ("y", 0, "2 dead letters deleted")] {
        let line = format!("printf '{answer}\\n' | {} -qec '{BINARY} dlq purge --all' /dev/null", script.display());
        let terminal = launch.args(&[]).program(&["/bin/sh", "-c", &line]);
        let output = terminal.env("TERM", "xterm").env("SHELL", "/bin/sh").run();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("Delete 2 dead letters for good? [y/N]") && text.contains(said), "{text}");
        assert_eq!(system.queue().await["dead"], left);
    }
}

#[tokio::test]
async fn operators_find_the_internal_listener_and_other_machines() {
    let launch = serve(&["ingest", "archiver"]);
    let ids = plant(&launch, &[("elsewhere", "[1]")]).await;
    let system = launch.start().await;
    let run: Value = serde_json::from_slice(&std::fs::read(system.data().join("run.json")).unwrap()).unwrap();
    let file = launch.path("operator_token");
    std::fs::write(&file, run["operator_token"].as_str().unwrap()).unwrap();
    assert!(done(&launch, &["show", &ids[0]]).contains("not a JSON object"));

    let elsewhere = Launch::new(&[]);
    let file = file.to_str().unwrap();
    let internal = system.url("archiver-internal");
    assert!(done(&elsewhere, &["list", "--url", &internal, "--token-file", file]).contains(&ids[0]));
    let text = refused(&elsewhere, &["list", "--url", &system.url("archiver"), "--token-file", file], 64);
    assert!(text.contains("internal port"), "{text}");
    std::fs::write(file, "wrong").unwrap();
    let text = refused(&elsewhere, &["list", "--url", &internal, "--token-file", file], 64);
    assert!(text.contains("401") && text.contains("new with each start"), "{text}");
    assert!(refused(&elsewhere, &["list"], 69).contains("nothing runs on"));
}
