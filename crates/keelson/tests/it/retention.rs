//! What has expired: counted first, deleted when that is asked for, and nothing else is touched.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::archive_command::{done, fails, listed, send};
use crate::launch::Launch;
use crate::system::{System, eventually, files};

const NAME: &str = "01975722-fbff-7000-8000-00000000000";

/// Makes a file as the archiver left it in September 2020.
fn make(launch: &Launch, key: &str) -> PathBuf {
    let path = launch.data().join("objects").join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "0123456789").unwrap();
    age(&path);
    path
}

fn age(path: &Path) {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

fn message(day: &str, number: usize) -> String {
    format!("messages/2020/09/{day}/{NAME}{number}.json")
}

/// Three messages and a roll-up of two days, and what is somebody else's. Answers the latter, sorted.
fn fill(launch: &Launch) -> Vec<PathBuf> {
    for key in [message("01", 1), message("01", 2), message("02", 3)] {
        make(launch, &key);
    }
    for part in ["index.json", "ndjson"] {
        make(launch, &format!("rollups/2020/09/02/{NAME}4.{part}"));
    }
    let foreign =
        ["messages/2020/09/01/notes.json", "messages/2020/09/01/.hidden", "messages/2020/notes", "backup.tar"];
    let mut foreign: Vec<_> = foreign.map(|key| make(launch, key)).into();
    // Sent long ago, stored today.
    let late = make(launch, &message("02", 5));
    fs::write(&late, "0123456789").unwrap();
    foreign.push(late);
    foreign.sort();
    foreign
}

fn left(launch: &Launch) -> Vec<PathBuf> {
    let mut left = files(&launch.data());
    left.sort();
    left
}

#[test]
fn what_has_expired_is_shown_by_day_and_deleted_when_asked_for() {
    let launch = Launch::new(&[]);
    let kept = fill(&launch);
    let before = left(&launch);
    let table = done(&launch, &["expire", "--older-than", "90d"]);
    let expected = [
        "DAY           OBJECTS            BYTES",
        "2020-09-01          2               20",
        "2020-09-02          3               30",
        "5 objects (50 bytes) of 2020-09-01 to 2020-09-02, older than 90d",
        "nothing was deleted; --delete deletes them for good",
    ];
    assert_eq!(table.lines().collect::<Vec<_>>(), expected);
    assert_eq!(done(&launch.clone().env("ARCHIVE_RETENTION", "90d"), &["expire"]), table);
    assert_eq!(left(&launch), before, "a count has deleted something");

    let text = done(&launch, &["expire", "--older-than", "90d", "--delete", "--yes", "--json"]);
    let five = json!({ "objects": 5, "bytes": 50 });
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&found["delete"], &found["expired"], &found["deleted"]), (&json!(true), &five, &five));
    let two = json!({ "objects": 2, "bytes": 20 });
    assert_eq!(found["days"][0], json!({ "day": "2020-09-01", "expired": two, "deleted": two }));
    assert_eq!(left(&launch), kept);
    assert!(!launch.data().join("objects/rollups/2020/09/02").exists(), "an empty folder of a day is left");
    assert_eq!(done(&launch, &["expire", "--older-than", "90d"]), "nothing is older than 90d\n");
}

#[test]
fn what_cannot_be_meant_is_refused_and_nothing_is_deleted() {
    let launch = Launch::new(&[]);
    fill(&launch);
    let before = left(&launch);
    for (args, expected) in [
        (&["expire"][..], "how long are objects kept? --older-than 90d, or ARCHIVE_RETENTION"),
        (&["expire", "--older-than", "12h"], "--older-than 12h: expected a time from 1d to 10000d, such as `90d`"),
        (&["expire", "--older-than", "90d", "--delete"], "there is no terminal to ask: add --yes"),
        (&["expire", "--older-than", "90d", "--yes"], "--delete"),
    ] {
        let (_, errors) = fails(&launch, args, 64);
        assert!(errors.contains(expected), "{errors}");
    }
    let bucket = launch.clone().env("S3_BUCKET_NAME", "letters");
    let (_, errors) = fails(&bucket, &["expire", "--older-than", "90d", "--delete", "--yes"], 64);
    assert!(errors.contains("lifecycle rule of the bucket"), "{errors}");
    assert_eq!(left(&launch), before);
}

#[test]
fn a_retention_for_objects_that_are_not_files_is_a_mistake() {
    for (objects, expected) in [("s3:letters", "lifecycle rule of the bucket"), ("memory:", "gone at the end anyway")] {
        let launch = Launch::up().env("OBJECTS_URL", objects).env("ARCHIVE_RETENTION", "90d");
        let output = launch.run();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(
            errors.contains("ARCHIVE_RETENTION=90d (environment): expected it unset: ") && errors.contains(expected)
        );
    }
}

/// The last pass that it tells in `/status`.
async fn pass(system: &System) -> Value {
    let begun = std::time::Instant::now();
    loop {
        let page: Value = system.get("archiver", "/status").send().await.unwrap().json().await.unwrap();
        let pass = &page["archive_retention"]["last_pass"];
        if !pass.is_null() {
            return pass.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "no pass: {page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archiver_reports_first_and_deletes_beside_others_while_it_archives() {
    let launch = Launch::up().env("ARCHIVE_RETENTION", "90d");
    let kept = fill(&launch);
    let mut system = launch.start().await;
    assert_eq!(pass(&system).await["expired"], json!({ "objects": 5, "bytes": 50 }));
    assert_eq!(system.stop().await.code(), Some(0));
    let log = system.stderr();
    let line = "5 stored objects (50 bytes, 2020-09-01 to 2020-09-02) are older than 90d; nothing is deleted: ARCHIVE_RETENTION_DELETE=true";
    assert!(log.contains(line), "{log}");

    for number in 0..1500 {
        make(&launch, &format!("messages/2020/09/03/01975722-fbff-7000-8000-{number:012}.json"));
    }
    let system = launch.clone().env("ARCHIVE_RETENTION_DELETE", "true").start().await;
    let by_hand = launch.args(&["archive", "expire", "--older-than", "90d", "--delete", "--yes"]);
    let hands = [(); 2].map(|()| {
        std::thread::spawn({
            let by_hand = by_hand.clone();
            move || by_hand.run()
        })
    });
    let ids = send(&system, &system.token(), 20).await;
    for hand in hands {
        let output = hand.join().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(pass(&system).await["failure"], Value::Null);
    system.drained().await;
    let mut shown = listed(&launch, &["--since", "2026-01-01"]);
    shown.sort();
    assert_eq!(shown, ids);
    let root = launch.data().join("objects");
    let old = || files(&root).into_iter().filter(|path| path.to_str().unwrap().contains("/2020/")).collect::<Vec<_>>();
    let kept = kept.iter().filter(|path| path.to_str().unwrap().contains("/2020/")).count();
    eventually("nothing else of 2020", || (old().len() == kept).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_in_the_middle_leaves_what_the_next_one_finishes() {
    let launch = Launch::new(&[]);
    let kept = fill(&launch);
    let day = launch.data().join("objects/rollups/2020/09/03");
    // On a quick disk it is over before anybody can kill it; then there has to be more to do.
    let now = loop {
        for number in 0..3000 {
            make(&launch, &format!("rollups/2020/09/03/01975722-fbff-7000-8000-{number:012}.index.json"));
            make(&launch, &format!("rollups/2020/09/03/01975722-fbff-7000-8000-{number:012}.ndjson"));
        }
        let first = day.join("01975722-fbff-7000-8000-000000000000.index.json");
        let mut expire = launch.args(&["archive", "expire", "--older-than", "90d", "--delete", "--yes"]).spawn();
        eventually("the first one is deleted", || (!first.exists()).then_some(())).await;
        expire.signal("KILL");
        expire.ended().await;
        let now = left(&launch);
        if now.len() > kept.len() {
            break now;
        }
    };
    for path in &now {
        let path = path.to_str().unwrap();
        if let Some(stem) = path.strip_suffix(".index.json") {
            assert!(Path::new(&format!("{stem}.ndjson")).exists(), "an index without its data: {path}");
        }
    }
    done(&launch, &["expire", "--older-than", "90d", "--delete", "--yes"]);
    assert_eq!(left(&launch), kept);
}
