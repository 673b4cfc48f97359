//! What happens when statements and disks fail: needs a hand inside the writer.

use std::collections::BTreeMap;

use chassis::clock::SystemClock;
use chassis::telemetry::logs::{LogSettings, Logs};
use futures_util::future::join;
use rusqlite::params;
use tempfile::TempDir;

use super::*;

fn open() -> (Arc<SqliteQueue>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = SystemClock::shared();
    let queue = SqliteQueue::open(folder.path().join("queue.db"), clock.clone(), Ids::new(clock), 3).unwrap();
    (queue, folder)
}

fn message(bytes: usize) -> NewMessage {
    NewMessage::new("x".repeat(bytes), BTreeMap::new())
}

async fn receive(queue: &SqliteQueue) -> Vec<Message> {
    let request = Receive { max: 10, wait: Duration::ZERO, visibility: Duration::from_secs(60) };
    queue.receive(request).await.unwrap()
}

#[tokio::test]
async fn a_failed_statement_fails_its_own_command_only() {
    let (queue, _folder) = open();
    let half_done = queue.call(|ledger| {
        ledger.send(vec![message(1)])?;
        ledger.execute("INSERT INTO deliveries (seq) VALUES (NULL)", [])
    });
    let (half_done, sent) = join(half_done, queue.send(message(1))).await;
    assert!(matches!(half_done, Err(QueueError::Other(_))), "{half_done:?}");
    let messages = receive(&queue).await;
    assert_eq!((messages.len(), &messages[0].id), (1, &sent.unwrap()));
    assert_eq!(queue.stats().await.unwrap().in_flight, 1);
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_the_queue_recovers() {
    let (queue, _folder) = open();
    let kept = queue.send(message(10)).await.unwrap();
    // The limit belongs to the connection: it goes when the writer opens the file anew.
    queue.call(|ledger| ledger.number("PRAGMA max_page_count = 20", [])).await.unwrap();
    let large = queue.send(message(500_000)).await;
    assert!(matches!(large, Err(QueueError::Unavailable(_))), "{large:?}");
    assert_eq!(queue.stats().await.unwrap().visible, 1);
    let sent = queue.send(message(500_000)).await.unwrap();
    let ids: Vec<_> = receive(&queue).await.into_iter().map(|message| message.id).collect();
    assert_eq!(ids, [kept, sent]);
}

#[tokio::test]
async fn a_lost_file_is_unavailable_until_it_is_back() {
    let (queue, folder) = open();
    let id = queue.send(message(10)).await.unwrap();
    let break_down = queue.call(|ledger| {
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        ledger.execute("DELETE FROM messages", params![])?;
        Err::<(), _>(rusqlite::Error::SqliteFailure(error, None))
    });
    let away = folder.path().join("away.db");
    assert!(matches!(break_down.await, Err(QueueError::Unavailable(_))));
    std::fs::rename(queue.path(), &away).unwrap();
    std::fs::create_dir(queue.path()).unwrap();
    assert!(matches!(queue.ping().await, Err(QueueError::Unavailable(_))));
    std::fs::remove_dir(queue.path()).unwrap();
    std::fs::rename(&away, queue.path()).unwrap();
    queue.ping().await.unwrap();
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
    assert_eq!((text.matches("CRITICAL").count(), text.matches("writer panicked").count()), (1, 1), "{text}");
}
