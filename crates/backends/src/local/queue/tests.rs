//! What happens when statements and disks fail: needs a hand inside the writer.

use std::collections::BTreeMap;

use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::telemetry::logs::{LogSettings, Logs};
use chassis::telemetry::storage::StorageFailures;
use chassis::testing::eventually;
use futures_util::future::join;
use tempfile::TempDir;

use super::*;

mod upkeep;

fn open() -> (Arc<SqliteQueue>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let queue = SqliteQueue::open(folder.path().join("queue.db"), context()).unwrap();
    (queue, folder)
}

fn context() -> QueueContext {
    let clock = SystemClock::shared();
    QueueContext { ids: Ids::new(clock.clone()), clock, max_receive_count: 3, failures: StorageFailures::default() }
}

fn message(bytes: usize) -> NewMessage {
    NewMessage::new("x".repeat(bytes), BTreeMap::new())
}

async fn receive(queue: &SqliteQueue) -> Vec<Message> {
    let request = Receive { max: 10, wait: Duration::ZERO, visibility: Duration::from_secs(60) };
    queue.receive(request).await.unwrap()
}

/// Sends a message, and then fails.
fn fail_half_way(ledger: &mut Ledger<'_>) -> rusqlite::Result<()> {
    ledger.send(vec![message(1)])?;
    ledger.execute("INSERT INTO deliveries (seq) VALUES (NULL)", []).map(drop)
}

#[tokio::test]
async fn a_failed_statement_fails_its_own_command_only() {
    let (queue, _folder) = open();
    let unblock = block(&queue).await;
    let group = join(queue.call(fail_half_way), queue.send(message(1)));
    let (half_done, sent) = join(group, async move { unblock.send(()).unwrap() }).await.0;
    assert!(matches!(half_done, Err(QueueError::Other(_))), "{half_done:?}");
    let messages = receive(&queue).await;
    assert_eq!((messages.len(), &messages[0].id), (1, &sent.unwrap()));
    assert_eq!(queue.stats().await.unwrap().in_flight, 1);
}

#[tokio::test]
async fn a_failed_statement_of_a_command_alone_leaves_nothing_behind() {
    let (queue, _folder) = open();
    let kept = queue.send(message(1)).await.unwrap();
    let half_done = queue.call(fail_half_way).await;
    assert!(matches!(half_done, Err(QueueError::Other(_))), "{half_done:?}");
    assert_eq!(queue.stats().await.unwrap().visible, 1);
    let sent = queue.send(message(1)).await.unwrap();
    let ids: Vec<_> = receive(&queue).await.into_iter().map(|message| message.id).collect();
    assert_eq!(ids, [kept, sent]);
}

/// 48 MiB go through a log that is moved into the file at 16 MiB.
#[tokio::test]
async fn the_log_stays_short() {
    let (queue, folder) = open();
    for _ in 0..48 {
        let sent = queue.send(message(1_000_000)).await.unwrap();
        let taken = receive(&queue).await.pop().unwrap();
        assert_eq!(taken.id, sent);
        queue.delete(&[taken.receipt]).await.unwrap().pop().unwrap().unwrap();
    }
    let log = folder.path().join("queue.db-wal").metadata().unwrap().len();
    assert!((12 << 20..20 << 20).contains(&log), "{log} bytes");
}

/// Nothing may be written any more: the file must not grow.
async fn fill(queue: &SqliteQueue) {
    queue.look(|ledger| ledger.number("PRAGMA max_page_count = 20", [])).await.unwrap();
}

async fn make_room(queue: &SqliteQueue) {
    queue.look(|ledger| ledger.number("PRAGMA max_page_count = 1000000", [])).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_the_queue_recovers() {
    let (queue, _folder) = open();
    let kept = queue.send(message(10)).await.unwrap();
    fill(&queue).await;
    let large = queue.send(message(500_000)).await;
    assert!(matches!(large, Err(QueueError::Unavailable(_))), "{large:?}");
    assert_eq!(queue.stats().await.unwrap().visible, 1);
    make_room(&queue).await;
    let sent = queue.send(message(500_000)).await.unwrap();
    let ids: Vec<_> = receive(&queue).await.into_iter().map(|message| message.id).collect();
    assert_eq!(ids, [kept, sent]);
}

#[tokio::test]
async fn who_only_looks_does_not_fail_with_those_who_write() {
    let (queue, _folder) = open();
    fill(&queue).await;
    let unblock = block(&queue).await;
    let waiting = join(queue.send(message(500_000)), queue.stats());
    let (sent, stats) = join(waiting, async move { unblock.send(()).unwrap() }).await.0;
    assert!(matches!(sent, Err(QueueError::Unavailable(_))), "{sent:?}");
    assert_eq!(stats.unwrap().visible, 0);
}

fn failed_sync() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC), None)
}

#[tokio::test]
async fn what_could_not_be_synced_is_undone_as_a_whole() {
    let (queue, _folder) = open();
    let kept = queue.send(message(10)).await.unwrap();
    let failed = queue.call(|ledger| {
        ledger.send(vec![message(1)])?;
        ledger.execute("DELETE FROM messages WHERE seq = 1", [])?;
        Err::<(), _>(failed_sync())
    });
    assert!(matches!(failed.await, Err(QueueError::Unavailable(_))));
    queue.ping().await.unwrap();
    assert_eq!(queue.stats().await.unwrap().visible, 1);
    let sent = queue.send(message(20)).await.unwrap();
    let ids: Vec<_> = receive(&queue).await.into_iter().map(|message| message.id).collect();
    assert_eq!(ids, [kept, sent]);
}

#[tokio::test]
async fn a_damaged_file_takes_nothing_until_it_is_opened_anew() {
    let (queue, _folder) = open();
    queue.send(message(10)).await.unwrap();
    let damage = queue.call(|_| {
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        Err::<(), _>(rusqlite::Error::SqliteFailure(error, None))
    });
    assert!(matches!(damage.await, Err(QueueError::Unavailable(_))));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(matches!(queue.ping().await, Err(QueueError::Unavailable(_))));
    assert!(matches!(queue.send(message(1)).await, Err(QueueError::Unavailable(_))));
    assert_eq!(queue.stats().await.unwrap().visible, 1, "what can be read is shown");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_not_in_its_place_takes_nothing_until_it_is_back() {
    let (queue, folder) = open();
    let id = queue.send(message(10)).await.unwrap();
    let away = folder.path().join("away.db");
    std::fs::rename(queue.path(), &away).unwrap();
    assert!(matches!(queue.ping().await, Err(QueueError::Unavailable(_))));
    assert!(matches!(queue.send(message(1)).await, Err(QueueError::Unavailable(_))));
    assert!(!queue.path().exists(), "a missing file may be a disk that is not mounted");
    std::fs::rename(&away, queue.path()).unwrap();
    eventually("the queue finds its file", || async { queue.ping().await.ok() }).await;
    assert_eq!(receive(&queue).await[0].id, id);
}

#[tokio::test]
async fn a_delivery_that_nobody_takes_is_handed_back() {
    let (queue, _folder) = open();
    queue.send(message(10)).await.unwrap();
    let request = Receive { max: 10, wait: Duration::ZERO, visibility: Duration::from_secs(60) };
    let inbox = queue.inbox().unwrap().clone();
    let taken = queue.call(move |ledger| Ok(Handover { taken: Some(ledger.receive(request)?), inbox })).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().in_flight, 1);
    drop(taken);
    let again = receive(&queue).await;
    assert_eq!((again.len(), again[0].receive_count), (1, 1));
}

/// Keeps the writer busy until the sender is used or dropped.
async fn block(queue: &Arc<SqliteQueue>) -> std::sync::mpsc::Sender<()> {
    let (unblock, blocked) = std::sync::mpsc::channel();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let mut work = Box::pin(queue.call(move |_| {
        let _ = begun.send(());
        let _ = blocked.recv();
        Ok(())
    }));
    assert!(futures_util::poll!(work.as_mut()).is_pending());
    begins.await.unwrap();
    unblock
}

#[tokio::test]
async fn a_send_that_nobody_waits_for_any_more_is_not_done() {
    let (queue, _folder) = open();
    let unblock = block(&queue).await;
    let moment = Duration::from_millis(20);
    assert!(tokio::time::timeout(moment, queue.send(message(10))).await.is_err(), "the writer is not blocked");
    unblock.send(()).unwrap();
    let sent = queue.send(message(10)).await.unwrap();
    let ids: Vec<_> = receive(&queue).await.into_iter().map(|message| message.id).collect();
    assert_eq!(ids, [sent]);
}

#[tokio::test]
async fn a_panic_of_the_writer_is_reported_once_and_ends_the_queue() {
    let (logs, captured) = Logs::captured(LogSettings::new("test"), SystemClock::shared()).unwrap();
    // The writer is another thread; no other test of this binary looks at logs.
    tracing::dispatcher::set_global_default(logs.dispatch()).unwrap();
    let (queue, _folder) = open();
    let outcome = queue.call(|_| -> rusqlite::Result<()> { panic!("the work panics") }).await;
    assert!(matches!(outcome, Err(QueueError::Unavailable(_))), "{outcome:?}");
    assert!(matches!(queue.ping().await, Err(QueueError::Unavailable(_))));
    assert!(matches!(queue.send(message(1)).await, Err(QueueError::Unavailable(_))));
    drop(queue);
    logs.flush();
    let text = captured.text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("writer panicked")).collect();
    assert!(lines.len() == 1 && lines[0].contains("CRITICAL"), "{text}");
}
