//! `keelson dlq` when nothing runs on the data folder: it opens the queue itself.

use serde_json::{Value, json};

use crate::dlq::{done, refused, with_letters};
use crate::launch::Launch;

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
