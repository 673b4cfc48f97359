//! The order of system calls, as `strace` sees it: on the disk first, answered after. A kill cannot prove this, since
//! what a killed process wrote is still in the kernel.

use std::collections::{HashMap, HashSet};
use std::fs;

use chassis::testing::require_tool;
use futures_util::future::join_all;

use crate::launch::{BINARY, Launch};
use crate::system::{System, email};

/// One system call. Times are line numbers of the trace, which is written in the order of events.
#[derive(Debug)]
struct Call {
    name: String,
    text: String,
    begun: usize,
    ended: usize,
}

impl Call {
    fn syncs(&self, path: &str) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.text.contains(path) && self.text.ends_with("= 0")
    }

    fn writes(&self, path: &str) -> bool {
        let writes = ["write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg"];
        writes.contains(&self.name.as_str()) && self.text.split(',').next().is_some_and(|file| file.contains(path))
    }
}

/// Reads lines such as `123 fsync(7</data/queue.db-wal>) = 0`; a call that others interrupt is in two parts.
fn parse(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: HashMap<&str, usize> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(char::is_whitespace) else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            if let Some(call) = unfinished.remove(pid).map(|index| &mut calls[index]) {
                call.text.push_str(resumed.split_once("resumed>").map_or("", |(_, end)| end));
                call.ended = number;
            }
        } else if let Some((name, _)) = rest.split_once('(') {
            let text = rest.trim_end_matches("<unfinished ...>");
            if text.len() < rest.len() {
                unfinished.insert(pid, calls.len());
            }
            calls.push(Call { name: name.to_owned(), text: text.trim_end().to_owned(), begun: number, ended: number });
        }
    }
    calls
}

/// Sends messages through a traced system, all at once, and waits until they are gone from the queue. The ids with it
/// are theirs.
async fn trace_messages(count: usize) -> Option<(Vec<Call>, Vec<String>)> {
    let strace = require_tool("strace")?;
    let launch = Launch::up();
    let file = launch.path("trace");
    let calls =
        "trace=fsync,fdatasync,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,recvfrom,read,linkat,renameat2";
    let words = [strace.to_str()?, "-f", "-y", "-s", "100000", "-e", calls, "-o", file.to_str()?, BINARY];
    let mut system = launch.program(&words).start().await;
    let bodies: Vec<_> = (0..count).map(|number| email(&format!("traced {number}"))).collect();
    let ids = join_all(bodies.iter().map(|body| system.send(body))).await;
    for id in &ids {
        system.object(id).await;
    }
    system.drained().await;
    stop(&mut system).await;
    Some((parse(&fs::read_to_string(file).unwrap()), ids))
}

/// The system outlives `strace`, which is what was started.
pub(crate) async fn stop(system: &mut System) {
    let run: serde_json::Value = serde_json::from_slice(&fs::read(system.data().join("run.json")).unwrap()).unwrap();
    system.signal_to(u32::try_from(run["pid"].as_u64().unwrap()).unwrap(), "TERM");
    assert!(system.ended().await.success());
}

fn position(calls: &[Call], what: &str, is_it: impl Fn(&Call) -> bool) -> usize {
    calls.iter().position(is_it).unwrap_or_else(|| panic!("the trace has no {what}"))
}

const LOG: &str = "/queue.db-wal>";

#[tokio::test]
async fn what_is_acknowledged_or_deleted_is_on_the_disk_first() {
    let Some((calls, _)) = trace_messages(1).await else { return };
    let request = position(&calls, "request", |call| call.text.contains("POST /api/message HTTP/1.1"));
    let answer = position(&calls, "answer", |call| call.text.contains("Message sent to queue"));
    assert!(calls[answer].writes("<socket:") || calls[answer].writes("<TCP:"), "{:?}", calls[answer]);
    let between = |call: &&Call| call.begun > calls[request].ended && call.ended < calls[answer].begun;
    let written = calls.iter().filter(between).find(|call| call.writes(LOG)).expect("the message is not written");
    let synced = calls.iter().filter(between).find(|call| call.syncs(LOG) && call.begun > written.ended);
    assert!(synced.is_some(), "answered before the queue's log was synced");

    let linked = position(&calls, "name", |call| {
        ["linkat", "renameat2"].contains(&call.name.as_str()) && call.text.contains("/objects/messages/")
    });
    let body = calls[..linked].iter().rev().find(|call| call.writes("/objects/.tmp/")).expect("no object is written");
    let body_synced = calls[..linked].iter().find(|call| call.syncs("/objects/.tmp/") && call.begun > body.ended);
    assert!(body_synced.is_some_and(|call| call.ended < calls[linked].begun), "named before its content was synced");

    let folder = |call: &&Call| call.begun > calls[linked].ended && call.syncs("/objects");
    let day = calls.iter().filter(folder).find(|call| call.syncs("/objects/messages/"));
    let day = day.expect("the folder of the object is not synced");
    let root = calls.iter().filter(folder).find(|call| call.syncs("/objects>")).expect("the root is not synced");
    let deleted = calls.iter().find(|call| call.begun > calls[linked].begun && call.writes(LOG));
    let deleted = deleted.expect("the message is not deleted");
    let folders_ended = day.ended.max(root.ended);
    assert!(deleted.begun > folders_ended, "deleted before the folders were synced: {deleted:?}");
}

/// Many objects share an fsync of their folder, and none is taken for stored because of one that began before it had its
/// name. That it is stored is known from its line in the log.
#[tokio::test]
async fn each_of_many_objects_is_stored_after_an_fsync_of_its_folder_that_began_after_its_name() {
    let Some((calls, ids)) = trace_messages(100).await else { return };
    let mut syncs = HashSet::new();
    for id in &ids {
        let named = position(&calls, "name", |call| {
            ["linkat", "renameat2"].contains(&call.name.as_str()) && call.text.contains(&format!("{id}.json"))
        });
        let line = format!("archived message {id}");
        let stored = position(&calls, "line", |call| call.name == "write" && call.text.contains(&line));
        let between = |call: &Call| call.begun > calls[named].ended && call.ended < calls[stored].begun;
        let synced = calls.iter().position(|call| between(call) && call.syncs("/objects/messages/"));
        syncs.insert(synced.unwrap_or_else(|| panic!("{id} is not synced before it is taken for stored")));
    }
    assert!(syncs.len() < ids.len(), "none shared an fsync: the test needs some that do");
}

/// A log that a process left behind may be in the kernel's memory alone, marked as written.
#[tokio::test]
async fn a_log_that_was_left_behind_is_written_again_before_it_is_trusted() {
    let Some(strace) = require_tool("strace") else { return };
    let launch = Launch::up();
    let mut system = launch.start().await;
    let left = system.send(&email("left in the log")).await;
    system.kill();
    drop(system);
    let file = launch.path("trace");
    let calls = "trace=fsync,fdatasync,write,pwrite64";
    let words = ["-f", "-y", "-s", "0", "-e", calls, "-o", file.to_str().unwrap(), BINARY];
    let mut system = launch.program(&[&[strace.to_str().unwrap()], words.as_slice()].concat()).start().await;
    system.object(&left).await;
    stop(&mut system).await;
    let calls = parse(&fs::read_to_string(file).unwrap());
    let trusted = position(&calls, "write of the queue's file", |call| call.writes("/queue.db>"));
    let before = &calls[..trusted];
    let written = before.iter().rposition(|call| call.writes(LOG)).expect("the log is not written again");
    assert!(before[written..].iter().any(|call| call.syncs(LOG)), "trusted before it was synced");
}

#[test]
fn interrupted_calls_are_read_as_one() {
    let trace = "7 fsync(3</q> <unfinished ...>\n8  write(4<socket:[1]>, \"x\", 1) = 1\n7 <... fsync resumed>) = 0\n7 +++ exited with 0 +++\n";
    let calls = parse(trace);
    assert_eq!(calls.len(), 2);
    assert!(calls[0].syncs("/q>") && (calls[0].begun, calls[0].ended) == (0, 2));
    assert!(calls[1].writes("<socket:"));
}
