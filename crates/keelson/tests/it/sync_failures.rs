//! Disks whose fsync fails with EIO, as `strace` can make it look: nothing is acknowledged that was not confirmed, and
//! nothing is believed that a later fsync says of it.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use chassis::testing::{require, require_tool};
use futures_util::future::join_all;
use serde_json::Value;

use crate::disk_full::{failures, is_ready, is_refused, misses, reads_go_on, stored_exactly};
use crate::launch::{BINARY, Launch};
use crate::system::{System, email, eventually, files};

/// SQLite brings its log to the disk with this call, and the objects are brought there with the other one.
pub(crate) const OF_SQLITE: &str = "fdatasync";
const OF_OBJECTS: &str = "fsync";

/// A fault that lasts until it is ended.
pub(crate) struct Fault {
    strace: Child,
}

impl Fault {
    /// The call fails from now on, where it concerns `path` if there is one.
    pub(crate) async fn begin(system: &System, call: &str, path: Option<PathBuf>) -> Option<Self> {
        let strace = require_tool("strace")?;
        let mut command = Command::new(strace);
        command.args(["-f", "-q", "-p", &system.pid().to_string(), "-o", "/dev/null"]);
        command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:error=EIO")]);
        if let Some(path) = path {
            command.arg("-P").arg(path);
        }
        let mut strace = command.stderr(Stdio::null()).spawn().unwrap();
        let attached = eventually("strace is attached", || match strace.try_wait().unwrap() {
            Some(_) => Some(false),
            None => every_thread_is_traced(system.pid()).then_some(true),
        });
        let attached = attached.await;
        require("the right to trace a process", attached).then_some(Self { strace })
    }

    pub(crate) async fn end(mut self, system: &System) {
        system.signal_to(self.strace.id(), "INT");
        eventually("strace is detached", || self.strace.try_wait().unwrap()).await;
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

fn every_thread_is_traced(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    })
}

fn stored(system: &System) -> Vec<Value> {
    let objects = system.objects().into_iter();
    objects.map(|(_, path)| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_send_that_the_disk_did_not_confirm_is_refused_and_not_half_sent() {
    let system = System::up().await;
    let before = system.send(&email("before")).await;
    system.drained().await;
    let Some(fault) = Fault::begin(&system, OF_SQLITE, None).await else { return };
    is_refused(&system).await;
    for service in ["ingest", "archiver"] {
        misses(&system, service, "queue").await;
    }
    is_refused(&system).await;
    reads_go_on(&system).await;
    assert!(failures(&system, "queue", "sync").await > 1.0, "the looks that failed are counted too");
    let line = "CRITICAL";
    eventually("a loud line", || system.stderr().contains(line).then_some(())).await;

    fault.end(&system).await;
    is_ready(&system).await;
    let after = system.send(&email("after")).await;
    system.drained().await;
    stored_exactly(&system, stored(&system), &[before, after]).await;
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill_while_the_disk_confirms_nothing() {
    // Nothing can be archived, so that messages wait in the queue.
    let launch = Launch::up().env("MAX_RECEIVE_COUNT", "1000");
    let obstacle = launch.data().join("objects/messages");
    std::fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
    std::fs::write(&obstacle, "in the way").unwrap();
    let mut system = launch.start().await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(system.send(&email(&number.to_string())).await);
    }
    let Some(fault) = Fault::begin(&system, OF_SQLITE, None).await else { return };
    is_refused(&system).await;
    system.kill();
    drop(fault);
    drop(system);
    std::fs::remove_file(&obstacle).unwrap();
    let system = launch.start().await;
    for id in &ids {
        system.object(id).await;
    }
    assert_eq!(system.drained().await["dead"], 0);
    // The kernel still showed the one that was refused: its sender was not told that it is lost.
    assert!(system.objects().len() <= ids.len() + 1);
}

#[tokio::test]
async fn an_object_that_the_disk_did_not_confirm_has_no_name_and_is_written_anew() {
    let system = System::up().await;
    let Some(fault) = Fault::begin(&system, OF_OBJECTS, None).await else { return };
    let id = system.send(&email("not yet")).await;
    misses(&system, "archiver", "objects").await;
    assert!(failures(&system, "objects", "sync").await > 0.0);
    assert!(system.objects().is_empty(), "it has its name");
    reads_go_on(&system).await;
    fault.end(&system).await;
    is_ready(&system).await;
    system.drained().await;
    stored_exactly(&system, stored(&system), &[id]).await;
    assert!(files(&system.data().join("objects/.tmp")).is_empty(), "half-written files are left");
}

#[tokio::test]
async fn an_object_whose_name_the_disk_did_not_confirm_stays_on_the_queue_and_is_put_there_anew() {
    let system = System::up().await;
    let first = system.send(&email("first")).await;
    system.drained().await;
    let day = system.objects()[0].1.parent().unwrap().to_owned();
    let Some(fault) = Fault::begin(&system, OF_OBJECTS, Some(day.clone())).await else { return };
    let second = system.send(&email("second")).await;
    misses(&system, "archiver", "objects").await;
    let path = day.join(format!("{second}.json"));
    let unconfirmed = std::fs::File::open(&path).unwrap();
    let queue = system.queue().await;
    assert!(["visible", "in_flight", "delayed"].iter().any(|state| queue[state] == 1), "deleted: {queue}");
    fault.end(&system).await;
    system.drained().await;
    is_ready(&system).await;
    stored_exactly(&system, stored(&system), &[first, second]).await;
    let inode = |metadata: std::fs::Metadata| metadata.ino();
    assert_ne!(inode(unconfirmed.metadata().unwrap()), inode(path.metadata().unwrap()), "the old file was believed");
}

#[tokio::test]
async fn of_many_objects_in_a_folder_that_the_disk_did_not_confirm_none_is_taken_for_stored() {
    let system = System::up().await;
    let first = system.send(&email("first")).await;
    system.drained().await;
    let day = system.objects()[0].1.parent().unwrap().to_owned();
    let Some(fault) = Fault::begin(&system, OF_OBJECTS, Some(day.clone())).await else { return };
    let bodies: Vec<_> = (0..50).map(|number| email(&number.to_string())).collect();
    let mut ids = join_all(bodies.iter().map(|body| system.send(body))).await;
    misses(&system, "archiver", "objects").await;
    let queue = system.queue().await;
    let kept: u64 = ["visible", "in_flight", "delayed"].iter().filter_map(|state| queue[state].as_u64()).sum();
    assert_eq!(kept, 50, "some are deleted: {queue}");
    let named = |id: &String| std::fs::File::open(day.join(format!("{id}.json"))).ok().map(|file| (id.clone(), file));
    let unconfirmed: Vec<_> = ids.iter().filter_map(named).collect();
    assert!(!unconfirmed.is_empty(), "the test needs names that were not confirmed");
    fault.end(&system).await;
    system.drained().await;
    is_ready(&system).await;
    ids.push(first);
    stored_exactly(&system, stored(&system), &ids).await;
    for (id, file) in unconfirmed {
        let inode = std::fs::metadata(day.join(format!("{id}.json"))).unwrap().ino();
        assert_ne!(file.metadata().unwrap().ino(), inode, "the old file of {id} was believed");
    }
}

/// Starts a system that is killed at the first call that gives a finished file its name.
fn killed_at_a_link(launch: &Launch) -> Option<Launch> {
    let strace = require_tool("strace")?;
    let calls =
        ["-e", "trace=link,linkat,renameat2", "-e", "inject=link,linkat,renameat2:signal=KILL", "-o", "/dev/null"];
    let words = [&[strace.to_str()?, "-f", "-q"], calls.as_slice(), &[BINARY]].concat();
    Some(launch.clone().program(&words))
}

#[tokio::test]
async fn a_half_made_secret_is_cleared_away_at_the_next_start() {
    let launch = Launch::up();
    let Some(killed) = killed_at_a_link(&launch) else { return };
    let mut system = killed.spawn();
    system.ended().await;
    drop(system);
    let secrets = launch.data().join("secrets");
    assert_eq!(files(&secrets).len(), 1, "the test needs a leftover");
    let system = launch.start().await;
    let mut left = files(&secrets);
    left.sort();
    assert_eq!(left, ["api_token", "encryption_key", "jwt_secret_key"].map(|name| secrets.join(name)));
    system.send(&email("with a token")).await;
}

#[tokio::test]
async fn a_half_written_object_is_cleared_away_at_the_next_start_and_nothing_else() {
    let launch = Launch::up();
    assert!(launch.start().await.stop().await.success());
    let temporary = launch.data().join("objects/.tmp");
    std::fs::write(temporary.join("notes.txt"), "of the user").unwrap();
    let Some(killed) = killed_at_a_link(&launch) else { return };
    let mut system = killed.start().await;
    let id = system.send(&email("interrupted")).await;
    system.ended().await;
    drop(system);
    assert_eq!(files(&temporary).len(), 2, "the test needs a leftover");
    let system = launch.start().await;
    system.drained().await;
    stored_exactly(&system, stored(&system), &[id]).await;
    assert_eq!(files(&temporary), [temporary.join("notes.txt")]);
}
