//! Edits under load.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::load::Load;
use super::{Developer, gap};
use crate::restart::stored_ids;

const EDITS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_edits_under_load_refuse_no_connection_and_fail_no_request() {
    let developer = Developer::start("serves first").await;
    let (mut pid, addresses) = (developer.serving(), developer.system.ready["services"].clone());
    assert_eq!(developer.version().await, "first");
    let load = Load::start(&developer.system);
    for edit in 1..=EDITS {
        developer.edit(&format!("serves edit-{edit}"));
        developer.says("handed over in", edit).await;
        assert_eq!(developer.version().await, format!("edit-{edit}"));
        assert_ne!(std::mem::replace(&mut pid, developer.serving()), developer.serving(), "the same process");
        sleep(Duration::from_millis(50)).await;
    }
    let seen = load.stop().await;
    let gaps: BTreeSet<Duration> = developer.said("handed over in").iter().map(|line| gap(line)).collect();
    println!("{EDITS} edits, {} answers, {} messages, gaps {gaps:?}", seen.answers, seen.accepted.len());
    assert!(seen.refused.is_empty(), "{} refused: {:#?}", seen.refused.len(), seen.refused);
    assert!(seen.failed.is_empty(), "{} of {} failed: {:#?}", seen.failed.len(), seen.answers, seen.failed);

    let run = std::fs::read(developer.system.data().join("run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_slice(&run).unwrap();
    assert_eq!(run["services"], addresses, "the ports are kept");
    developer.system.drained().await;
    let accepted: BTreeSet<String> = seen.accepted.into_iter().collect();
    assert_eq!(stored_ids(&developer.system), accepted);
}

#[tokio::test]
async fn an_edit_that_changes_nothing_in_the_program_replaces_nothing() {
    let mut developer = Developer::start("serves first").await;
    let pid = developer.serving();
    // The command builds nothing anew, as cargo does when it finds nothing to do.
    std::fs::write(developer.system.launch.path("build.sh"), "true\n").unwrap();
    developer.edit("serves first again");
    developer.says("the same program, still serving the build of", 1).await;
    assert_eq!(developer.serving(), pid);
    assert_eq!(developer.system.stop().await.code(), Some(0));
}

#[tokio::test]
async fn edits_during_a_build_are_built_before_anything_is_handed_over() {
    let developer = Developer::start("serves first").await;
    let script = developer.system.launch.path("build.sh");
    let slow = format!("touch begun\nsleep 1\n{}", super::BUILD);
    std::fs::write(script, slow).unwrap();
    developer.edit("serves second");
    let begun = developer.system.launch.path("begun");
    crate::system::eventually("the build begins", || begun.exists().then_some(())).await;
    developer.edit("serves third");
    developer.says("handed over in", 1).await;
    assert_eq!(developer.version().await, "third");
    assert_eq!(developer.said("building again").len(), 1);
    assert_eq!(developer.said("handed over in").len(), 1);
}

#[tokio::test]
async fn edits_that_nobody_tells_of_are_found_by_looking() {
    let developer = Developer::start_with("serves first", &["--poll", "100ms"]).await;
    developer.edit("serves second");
    developer.says("handed over in", 1).await;
    assert_eq!(developer.version().await, "second");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_said_once_and_the_rest_is_found() {
    let developer = Developer::start_with("serves first", &["--poll", "100ms"]).await;
    std::os::unix::fs::symlink("nowhere", developer.system.launch.path("app/src/broken.rs")).unwrap();
    developer.says("some edits may go unseen", 1).await;
    for (number, version) in ["second", "third"].into_iter().enumerate() {
        developer.edit(&format!("serves {version}"));
        developer.says("handed over in", number + 1).await;
        assert_eq!(developer.version().await, version);
    }
    assert_eq!(developer.said("some edits may go unseen").len(), 1);
}

#[tokio::test]
async fn chosen_services_are_handed_over_with_their_internal_listeners() {
    let env = [("PRODUCTION", "false"), ("KEELSON_HOST", "127.0.0.1"), ("INTERNAL_PORT", "0")];
    let secrets = [("API_TOKEN", crate::launch::STRONG_TOKEN), ("JWT_SECRET_KEY", crate::launch::STRONG_TOKEN)];
    let launch = super::launch(&["users", "ingest"]);
    let launch = env.iter().chain(&secrets).fold(launch, |launch, (name, value)| launch.env(name, value));
    let developer = Developer { system: launch.spawn().listening().await };
    developer.says("4 sockets kept", 1).await;
    let run = || std::fs::read_to_string(developer.system.data().join("run.json")).unwrap();
    let operators = |run: &str| serde_json::from_str::<serde_json::Value>(run).unwrap()["operators"].clone();
    let before = operators(&run());
    developer.edit("serves second");
    developer.says("handed over in", 1).await;
    assert_eq!(developer.version().await, "second");
    assert_eq!(operators(&run()), before);
    assert_eq!(before.as_object().unwrap().len(), 2, "{before}");
}
