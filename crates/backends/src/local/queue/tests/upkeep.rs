//! Room that deleted messages leave goes back to the disk.

use std::path::Path;

use rusqlite::Connection;
use tokio::time::sleep;

use super::*;

const MIB: u64 = 1 << 20;
/// What a queue that is worked off may keep: its free pages and what little is in it.
const BOUND: u64 = 18 * MIB;

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
    eventually("the file is short", || async { (length(path) < BOUND).then_some(()) }).await;
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
    work_off(&queue).await;
    assert!(length(&path) > 40 * MIB);
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
    while length(&path) >= BOUND {
        let begun = std::time::Instant::now();
        queue.send(message(10)).await.unwrap();
        longest = longest.max(begun.elapsed());
        sleep(Duration::from_millis(25)).await;
    }
    assert!(longest < Duration::from_secs(1), "a send took {longest:?}");
}

#[tokio::test]
async fn a_step_that_fails_loses_nothing_and_is_tried_again() {
    let (queue, folder) = open();
    let path = folder.path().join("queue.db");
    let kept = queue.send(message(10)).await.unwrap();
    send(&queue, 40).await;
    let failed = queue.call(|_| Err::<(), _>(failed_sync()));
    assert!(matches!(failed.await, Err(QueueError::Unavailable(_))));
    queue.ping().await.unwrap();
    let first = receive(&queue).await;
    assert_eq!(first[0].id, kept);
    work_off(&queue).await;
    shrinks(&path).await;
}
