//! Room that deleted messages leave goes back to the disk.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use tokio::time::sleep;

use super::*;
use crate::local::queue::upkeep::{Pause, Task};

const MIB: u64 = 1 << 20;
/// What a queue that is worked off may keep: its free pages and what little is in it.
const BOUND: u64 = 18 * MIB;
/// How long it may take to give the rest back.
const PATIENCE: Duration = Duration::from_mins(1);

fn length(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}

async fn send(queue: &SqliteQueue, mebibytes: usize) {
    for _ in 0..mebibytes {
        queue.send_batch(vec![message(104_000); 10]).await.unwrap();
    }
}

/// Answers how many.
async fn work_off(queue: &SqliteQueue) -> usize {
    let mut done = 0;
    loop {
        let taken = receive(queue).await;
        if taken.is_empty() {
            return done;
        }
        done += taken.len();
        let receipts: Vec<_> = taken.into_iter().map(|message| message.receipt).collect();
        assert!(queue.delete(&receipts).await.unwrap().iter().all(Result::is_ok));
    }
}

async fn shrinks(path: &Path) {
    let end = Instant::now() + PATIENCE;
    while length(path) >= BOUND {
        assert!(Instant::now() < end, "the file does not shrink");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_queue_that_is_worked_off_gives_its_room_back_and_goes_on() {
    let (queue, folder) = open();
    let path = folder.path().join("queue.db");
    for _ in 0..2 {
        send(&queue, 60).await;
        let kept = queue.look(|ledger| Ok(ledger.tally.last_seq)).await.unwrap();
        assert!(length(&path) + length(&log::path_of(&path)) > 60 * MIB);
        assert_eq!(work_off(&queue).await, 600, "{kept}");
        shrinks(&path).await;
        let log = log::path_of(&path);
        eventually("the log is empty", || async { (length(&log) == 0).then_some(()) }).await;
    }
    let last = queue.send(message(10)).await.unwrap();
    drop(queue);
    let queue = SqliteQueue::open(&path, context()).unwrap();
    assert_eq!(receive(&queue).await[0].id, last);
}

#[tokio::test]
async fn while_messages_trickle_in_and_out_the_file_shrinks_too() {
    let (queue, folder) = open();
    let path = folder.path().join("queue.db");
    send(&queue, 60).await;
    assert!(length(&path) + length(&log::path_of(&path)) > 40 * MIB);
    work_off(&queue).await;
    let trickle = async {
        loop {
            let sent = queue.send(message(1000)).await.unwrap();
            let taken = receive(&queue).await.pop().unwrap();
            assert_eq!(taken.id, sent);
            queue.delete(&[taken.receipt]).await.unwrap().pop().unwrap().unwrap();
            sleep(Duration::from_millis(40)).await;
        }
    };
    tokio::select! {
        () = shrinks(&path) => {}
        () = trickle => {}
    }
}

/// As an older version made it.
fn make_old(path: &Path) {
    let queue = SqliteQueue::open(path, context()).unwrap();
    drop(queue);
    let file = Connection::open(path).unwrap();
    file.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM; PRAGMA journal_mode = WAL")
        .unwrap();
    assert_eq!(mode(&file), 0);
}

fn mode(file: &Connection) -> i64 {
    file.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_file_of_an_older_version_shrinks_once_it_is_worked_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    make_old(&path);
    let queue = SqliteQueue::open(&path, context()).unwrap();
    send(&queue, 40).await;
    let doomed = receive(&queue).await.remove(0);
    queue.dead_letter(&doomed, "kept").await.unwrap();
    work_off(&queue).await;
    shrinks(&path).await;
    assert_eq!(queue.find_dead_letter(&doomed.id).await.unwrap().unwrap().body, doomed.body);
    let id = queue.send(message(10)).await.unwrap();
    drop(queue);
    assert_eq!(mode(&Connection::open(&path).unwrap()), 2);
    let queue = SqliteQueue::open(&path, context()).unwrap();
    let ids: Vec<_> = receive(&queue).await.into_iter().map(|message| message.id).collect();
    assert!(ids.contains(&id), "{ids:?}");
}

#[tokio::test]
async fn no_one_waits_long_for_a_step() {
    let (queue, folder) = open();
    send(&queue, 60).await;
    work_off(&queue).await;
    let path = folder.path().join("queue.db");
    let mut longest = Duration::ZERO;
    let end = Instant::now() + PATIENCE;
    while length(&path) >= BOUND {
        assert!(Instant::now() < end, "the file does not shrink");
        let begun = Instant::now();
        queue.send(message(10)).await.unwrap();
        longest = longest.max(begun.elapsed());
        sleep(Duration::from_millis(25)).await;
    }
    assert!(longest < Duration::from_secs(1), "a send took {longest:?}");
}

/// Forbids to give pages back, and counts the attempts.
async fn forbid(queue: &SqliteQueue) -> Arc<AtomicUsize> {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counter = attempts.clone();
    let rule = move |context: AuthContext<'_>| match context.action {
        AuthAction::Pragma { pragma_name: "incremental_vacuum", .. } => {
            counter.fetch_add(1, Ordering::Relaxed);
            Authorization::Deny
        }
        _ => Authorization::Allow,
    };
    queue.look(|ledger| ledger.connection.authorizer(Some(rule))).await.unwrap();
    attempts
}

async fn permit(queue: &SqliteQueue) {
    let nothing = None::<fn(AuthContext<'_>) -> Authorization>;
    queue.look(move |ledger| ledger.connection.authorizer(nothing)).await.unwrap();
}

#[tokio::test]
async fn a_step_that_fails_stops_nobody_and_is_tried_again_later() {
    let (queue, folder) = open();
    let path = folder.path().join("queue.db");
    let attempts = forbid(&queue).await;
    send(&queue, 40).await;
    work_off(&queue).await;
    eventually("a step fails", || async { (attempts.load(Ordering::Relaxed) > 0).then_some(()) }).await;
    let mut sent = Vec::new();
    for _ in 0..50 {
        sent.push(queue.send(message(10)).await.unwrap());
        queue.ping().await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let failed = attempts.load(Ordering::Relaxed);
    assert!((2..=8).contains(&failed), "{failed} steps failed");
    assert!(length(&path) > BOUND);
    permit(&queue).await;
    shrinks(&path).await;
    let first: Vec<_> = receive(&queue).await.into_iter().map(|message| message.id).collect();
    assert_eq!(first, sent[..10]);
}

fn failed(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

#[test]
fn only_a_step_that_casts_doubt_on_the_disk_holds_up_sends_and_none_is_repeated_at_once() {
    use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE, SQLITE_NOMEM};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let failures = StorageFailures::default().of("queue");
    let mut database = Database::new(&path, file::open(&path).unwrap(), failures).unwrap();
    for (code, holds_up) in
        [(SQLITE_NOMEM, false), (SQLITE_FULL, false), (SQLITE_IOERR_WRITE, true), (SQLITE_IOERR_FSYNC, true)]
    {
        database.put_off(Task::GiveBack, &failed(code));
        assert_eq!(database.healthy().is_none(), holds_up, "{code}");
        if holds_up {
            database.recover();
        }
        assert!(database.healthy().is_some(), "{code}");
        let end = database.pause.unwrap().end;
        assert!(end > Instant::now() && database.next_upkeep() >= Some(end) && !database.is_upkeep_overdue(), "{code}");
    }
}

#[test]
fn the_pause_after_a_failed_step_doubles_up_to_an_hour() {
    let first = Pause::after(None);
    let second = Pause::after(Some(first));
    assert_eq!(second.length, first.length * 2);
    let last = (0..20).fold(second, |pause, _| Pause::after(Some(pause)));
    assert_eq!(last.length, Duration::from_hours(1));
}
