//! Data folders that cannot be used: one clear line and exit code 69, and nothing is made worse.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use chassis::testing::require;
use serde_json::Value;

use crate::archive::plant;
use crate::disk_full::{self, failures, misses};
use crate::disks::{Disks, is_root};
use crate::launch::{BINARY, Launch};
use crate::system::{email, eventually};

/// Nothing can be archived until the obstacle is removed, and no message is given up.
fn without_an_archive() -> (Launch, PathBuf) {
    let launch = Launch::up().env("MAX_RECEIVE_COUNT", "1000");
    let obstacle = launch.data().join("objects/messages");
    fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
    fs::write(&obstacle, "in the way").unwrap();
    (launch, obstacle)
}

/// A folder that a system has worked in, with a message that waits in the log of its queue.
async fn worked_in() -> (Launch, String) {
    let (launch, obstacle) = without_an_archive();
    let mut system = launch.start().await;
    let id = system.send(&email("waits")).await;
    system.kill();
    drop(system);
    fs::remove_file(&obstacle).unwrap();
    (launch, id)
}

/// The start fails with exit code 69 and one line that has all these parts.
fn is_refused(launch: &Launch, parts: &[&str]) {
    let output = launch.run();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(output.stdout.is_empty());
    let line = text.lines().find(|line| line.starts_with("error:")).unwrap_or_else(|| panic!("no error in: {text}"));
    assert!(text.ends_with(&format!("{line}\n")), "more than a line: {text}");
    for part in parts {
        assert!(line.contains(part), "{part} is not in: {line}");
    }
}

fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, content).unwrap();
}

#[tokio::test]
async fn damaged_files_are_refused_and_work_again_when_they_are_restored() {
    let (launch, id) = worked_in().await;
    let (queue, log) = (launch.data().join("queue.db"), launch.data().join("queue.db-wal"));
    let whole = (fs::read(&queue).unwrap(), fs::read(&log).unwrap());
    let restore = || {
        fs::write(&queue, &whole.0).unwrap();
        fs::write(&log, &whole.1).unwrap();
    };
    overwrite(&queue, 0, b"this is no database");
    is_refused(&launch, &["queue.db: it is damaged", "from a backup"]);
    restore();
    overwrite(&log, 0, b"nor a log");
    is_refused(&launch, &["queue.db-wal: it is damaged", "from a backup"]);
    restore();
    let system = launch.start().await;
    system.object(&id).await;
}

#[tokio::test]
async fn a_file_that_shrank_is_refused() {
    let launch = Launch::up();
    let mut system = launch.start().await;
    system.send(&email("before")).await;
    system.drained().await;
    assert!(system.stop().await.success());
    let queue = launch.data().join("queue.db");
    let length = fs::metadata(&queue).unwrap().len();
    fs::OpenOptions::new().write(true).open(&queue).unwrap().set_len(length / 2).unwrap();
    is_refused(&launch, &["queue.db: it is damaged", "from a backup"]);
}

#[test]
fn a_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder_are_refused() {
    for name in ["queue.db", "lock", "secrets/api_token", "run.json"] {
        let launch = Launch::up();
        fs::create_dir_all(launch.data().join(name)).unwrap();
        is_refused(&launch, &[name.rsplit('/').next().unwrap(), launch.data().to_str().unwrap()]);
    }
    for name in ["objects", "secrets"] {
        let launch = Launch::up();
        fs::create_dir_all(launch.data()).unwrap();
        fs::write(launch.data().join(name), "a file").unwrap();
        is_refused(&launch, &[name, launch.data().to_str().unwrap()]);
    }
}

#[test]
fn a_secret_of_garbage_is_refused() {
    let launch = Launch::up();
    fs::create_dir_all(launch.data().join("secrets")).unwrap();
    for garbage in [b"\xff\xfe\x00garbage".as_slice(), b"", &[b'x'; 1 << 20]] {
        fs::write(launch.data().join("secrets/api_token"), garbage).unwrap();
        is_refused(&launch, &["secrets/api_token", "remove it to have a new secret generated"]);
    }
}

#[tokio::test]
async fn a_run_file_of_garbage_is_overwritten() {
    let launch = Launch::up();
    fs::create_dir_all(launch.data()).unwrap();
    for name in ["run.json", ".run.json.part"] {
        fs::write(launch.data().join(name), "garbage").unwrap();
    }
    let system = launch.start().await;
    let run: Value = serde_json::from_slice(&fs::read(launch.data().join("run.json")).unwrap()).unwrap();
    assert_eq!(run["pid"], system.pid());
    assert!(!launch.data().join(".run.json.part").exists());
}

#[tokio::test]
async fn a_read_only_folder_is_refused() {
    let (launch, id) = worked_in().await;
    {
        let Some(disks) = Disks::read_only(&launch, "data") else { return };
        is_refused(&disks.launch(launch.clone()), &["the data folder", "Read-only file system", "--data"]);
    }
    launch.start().await.object(&id).await;
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_refused() {
    if !require("the right to be somebody else", is_root()) {
        return;
    }
    let launch = Launch::up();
    launch.start().await;
    fs::set_permissions(launch.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let binary = launch.path("keelson");
    fs::copy(BINARY, &binary).unwrap();
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary.to_str().unwrap()];
    is_refused(&launch.program(&nobody), &["the data folder", "Permission denied", "--data"]);
}

/// Pages of the file turn to garbage while the system runs, and are read later.
#[tokio::test]
async fn damage_that_is_found_while_it_runs_stops_the_queue_until_a_person_has_looked() {
    let (launch, obstacle) = without_an_archive();
    let body = format!(r#"{{"x":"{}"}}"#, "x".repeat(100_000));
    plant(&launch, &vec![("elsewhere", body.as_str()); 300]).await;
    let system = launch.start().await;
    // More than SQLite keeps in memory, and each message is read again and again.
    let queue = File::options().write(true).open(launch.data().join("queue.db")).unwrap();
    queue.write_all_at(&[0xa5; 8 << 20], 2 << 20).unwrap();
    let inode = queue.metadata().unwrap().ino();
    eventually("a loud line", || system.stderr().contains("queue's file is damaged").then_some(())).await;
    assert!(system.stderr().contains("CRITICAL"), "the line is not loud");
    for service in ["ingest", "archiver"] {
        misses(&system, service, "queue").await;
    }
    disk_full::is_refused(&system).await;
    assert!(failures(&system, "queue", "damaged").await > 0.0);
    assert_eq!(queue.metadata().unwrap().ino(), inode);
    drop(system);
    fs::remove_file(obstacle).unwrap();
    is_refused(&launch, &["queue.db: it is damaged", "from a backup"]);
}
