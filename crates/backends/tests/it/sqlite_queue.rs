//! The embedded queue: the conformance suite, and what a file adds to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backends::QueueContext;
use backends::local::SqliteQueue;
use chassis::clock::Clock;
use chassis::ids::Ids;
use chassis::ports::{Message, NewMessage, Queue, QueueError, Receive};
use chassis::telemetry::storage::StorageFailures;
use chassis::testing::ManualClock;
use chassis::testing::queue_suite::QueueHarness;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinSet;

struct Harness {
    queue: Arc<SqliteQueue>,
    clock: Arc<ManualClock>,
    _folder: TempDir,
}

const MAX_RECEIVE_COUNT: u32 = 3;
const MINUTE: Duration = Duration::from_secs(60);

fn open(path: &Path, clock: &Arc<ManualClock>) -> Arc<SqliteQueue> {
    try_open(path, clock).unwrap()
}

fn try_open(path: &Path, clock: &Arc<ManualClock>) -> Result<Arc<SqliteQueue>, backends::OpenError> {
    let context = QueueContext {
        clock: clock.clone(),
        ids: Ids::new(clock.clone()),
        max_receive_count: MAX_RECEIVE_COUNT,
        failures: StorageFailures::default(),
    };
    SqliteQueue::open(path, context)
}

async fn harness() -> Option<Harness> {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let queue = open(&folder.path().join("queue.db"), &clock);
    Some(Harness { queue, clock, _folder: folder })
}

#[async_trait]
impl QueueHarness for Harness {
    fn queue(&self) -> Arc<dyn Queue> {
        self.queue.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn max_receive_count(&self) -> u32 {
        MAX_RECEIVE_COUNT
    }
}

chassis::queue_conformance!(harness);

fn message(body: impl Into<String>) -> NewMessage {
    NewMessage::new(body, BTreeMap::new())
}

async fn receive(queue: &SqliteQueue) -> Vec<Message> {
    queue.receive(Receive { max: 10, wait: Duration::ZERO, visibility: MINUTE }).await.unwrap()
}

/// Copies the files of an open queue, as a power cut would leave them.
fn copy_files(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(from), name(to)).unwrap();
    }
}

#[tokio::test]
async fn messages_and_dead_letters_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("queue.db"), ManualClock::new());
    let queue = open(&path, &clock);
    let dead = queue.send(message("dead")).await.unwrap();
    let doomed = receive(&queue).await.remove(0);
    queue.dead_letter(&doomed, "bad").await.unwrap();
    let kept = queue.send(message("kept")).await.unwrap();
    drop(queue);

    let queue = open(&path, &clock);
    let messages = receive(&queue).await;
    assert_eq!((messages.len(), &messages[0].id, messages[0].body.as_str()), (1, &kept, "kept"));
    assert_eq!(queue.find_dead_letter(&dead).await.unwrap().unwrap().reason, "bad");
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.visible, stats.in_flight, stats.dead), (0, 1, Some(1)));
}

#[tokio::test]
async fn the_log_is_in_the_file_after_a_clean_end() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("queue.db"), ManualClock::new());
    let queue = open(&path, &clock);
    queue.send(message("kept")).await.unwrap();
    drop(queue);
    let files: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["queue.db"]);
}

#[tokio::test]
async fn leases_of_a_dead_process_come_back_at_once_and_uncounted() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("queue.db"), ManualClock::new());
    let queue = open(&path, &clock);
    queue.send(message("in flight")).await.unwrap();
    receive(&queue).await;
    clock.advance(MINUTE);
    let held = receive(&queue).await.remove(0);
    assert_eq!(held.receive_count, 2);
    let copy = folder.path().join("after-the-crash.db");
    copy_files(&path, &copy);

    let revived = open(&copy, &clock);
    let message = receive(&revived).await.remove(0);
    assert_eq!((message.id, message.receive_count), (held.id, 2));
    let stale = revived.delete(&[held.receipt]).await.unwrap().remove(0);
    assert!(matches!(stale, Err(QueueError::StaleReceipt)));
}

#[tokio::test]
async fn a_restart_leaves_what_waits_for_another_attempt_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("queue.db"), ManualClock::new());
    let mut queue = open(&path, &clock);
    let id = queue.send(message("poison")).await.unwrap();
    for attempt in 1..=MAX_RECEIVE_COUNT {
        let message = receive(&queue).await.remove(0);
        assert_eq!(message.receive_count, attempt);
        queue.retry(&[message.receipt], MINUTE).await.unwrap().remove(0).unwrap();
        drop(queue);
        queue = open(&path, &clock);
        assert!(receive(&queue).await.is_empty(), "the restart cut the pause short");
        clock.advance(MINUTE);
    }
    assert!(receive(&queue).await.is_empty());
    assert_eq!(queue.find_dead_letter(&id).await.unwrap().unwrap().receive_count, MAX_RECEIVE_COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_in_the_files_at_that_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("queue.db"), ManualClock::new());
    let queue = open(&path, &clock);
    for number in 0..20 {
        queue.send(message(number.to_string())).await.unwrap();
        let copy = folder.path().join(format!("{number}.db"));
        copy_files(&path, &copy);
        assert_eq!(open(&copy, &clock).stats().await.unwrap().visible, number + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_sends_share_commits() {
    let Harness { queue, _folder, .. } = harness().await.unwrap();
    let before = queue.commits();
    let mut senders = JoinSet::new();
    for number in 0..200 {
        let queue = queue.clone();
        senders.spawn(async move { queue.send(message(number.to_string())).await.unwrap() });
    }
    assert_eq!(senders.join_all().await.len(), 200);
    let commits = queue.commits() - before;
    assert!((1..=100).contains(&commits), "200 sends took {commits} commits");
    assert_eq!(queue.stats().await.unwrap().visible, 200);
}

#[tokio::test]
async fn looking_into_an_empty_queue_writes_nothing() {
    let Harness { queue, _folder, .. } = harness().await.unwrap();
    let before = queue.commits();
    assert!(receive(&queue).await.is_empty());
    queue.stats().await.unwrap();
    queue.ping().await.unwrap();
    assert_eq!(queue.commits(), before);
}

#[tokio::test]
async fn a_flood_is_refused_as_unavailable_and_loses_nothing() {
    let Harness { queue, _folder, .. } = harness().await.unwrap();
    let mut senders = JoinSet::new();
    for _ in 0..200 {
        let queue = queue.clone();
        senders.spawn(async move { queue.send(message("x".repeat(1 << 20))).await });
    }
    let outcomes = senders.join_all().await;
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(QueueError::Unavailable(_)))).count();
    assert!(accepted > 0 && refused > 0 && accepted + refused == 200, "{accepted} accepted, {refused} refused");
    assert_eq!(queue.stats().await.unwrap().visible, accepted as u64);
}

#[tokio::test]
async fn a_large_queue_is_purged_and_redriven_in_slices() {
    let Harness { queue, clock, _folder } = harness().await.unwrap();
    for _ in 0..250 {
        queue.send_batch(vec![message("x"); 10]).await.unwrap();
    }
    for _ in 0..MAX_RECEIVE_COUNT {
        while !receive(&queue).await.is_empty() {}
        clock.advance(MINUTE);
    }
    while queue.stats().await.unwrap().visible > 0 {
        assert!(receive(&queue).await.is_empty());
    }
    assert_eq!(queue.stats().await.unwrap().dead, Some(2500));
    assert_eq!(queue.redrive(chassis::ports::DeadLetters::All).await.unwrap(), 2500);
    assert_eq!(queue.stats().await.unwrap().visible, 2500);
    assert_eq!(queue.purge().await.unwrap(), 2500);
    let empty = chassis::ports::QueueStats { dead: Some(0), ..Default::default() };
    assert_eq!(queue.stats().await.unwrap(), empty);
}

#[tokio::test]
async fn a_second_opener_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("queue.db"), ManualClock::new());
    let _queue = open(&path, &clock);
    let error = try_open(&path, &clock).unwrap_err().to_string();
    assert!(error.contains("another process has the queue open"), "{error}");
    assert!(error.contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let text = "this is not a database ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let error = try_open(&path, &ManualClock::new()).unwrap_err().to_string();
    assert!(error.contains("no SQLite database") && error.contains("move both away"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

/// Leaves a file and its log as a process that died would, with `count` messages in the log.
async fn leave_a_log(folder: &Path, clock: &Arc<ManualClock>, count: usize) -> PathBuf {
    let (path, left) = (folder.join("open.db"), folder.join("left.db"));
    let queue = open(&path, clock);
    for number in 0..count {
        queue.send(message(number.to_string())).await.unwrap();
    }
    copy_files(&path, &left);
    left
}

fn log_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    let mut content = std::fs::read(path).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    std::fs::write(path, content).unwrap();
}

#[tokio::test]
async fn a_log_that_is_torn_at_its_end_gives_back_what_was_acknowledged_before() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let left = leave_a_log(folder.path(), &clock, 20).await;
    let log = log_of(&left);
    let length = std::fs::metadata(&log).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.set_len(length - 100).unwrap();
    assert_eq!(open(&left, &clock).stats().await.unwrap().visible, 19);
}

#[tokio::test]
async fn a_log_that_is_damaged_before_acknowledged_messages_is_refused_and_unchanged() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let left = leave_a_log(folder.path(), &clock, 20).await;
    let log = log_of(&left);
    overwrite(&log, 20_000, b"garbage");
    let before = (std::fs::read(&left).unwrap(), std::fs::read(&log).unwrap());
    let error = try_open(&left, &clock).unwrap_err().to_string();
    assert!(error.contains(log.to_str().unwrap()) && error.contains("it is damaged"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    assert!((std::fs::read(&left).unwrap(), std::fs::read(&log).unwrap()) == before, "the damaged log was touched");

    let at = error.rsplit_once("truncate -s ").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(at).unwrap();
    assert!(open(&left, &clock).stats().await.unwrap().visible < 20);
}

#[tokio::test]
async fn a_log_that_begins_with_garbage_is_refused_and_zeros_are_none() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let left = leave_a_log(folder.path(), &clock, 3).await;
    let log = log_of(&left);
    overwrite(&log, 0, b"garbage");
    let error = try_open(&left, &clock).unwrap_err().to_string();
    assert!(error.contains("does not begin as a log"), "{error}");
    std::fs::write(&log, [0; 8192]).unwrap();
    open(&left, &clock);
}

#[tokio::test]
async fn a_log_without_its_file_is_refused_and_kept() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let left = leave_a_log(folder.path(), &clock, 3).await;
    let (file, log) = (std::fs::read(&left).unwrap(), std::fs::read(log_of(&left)).unwrap());
    std::fs::remove_file(&left).unwrap();
    for _ in 0..2 {
        let error = try_open(&left, &clock).unwrap_err().to_string();
        assert!(error.contains("missing or empty") && error.contains("from a backup"), "{error}");
        assert!(std::fs::read(log_of(&left)).unwrap() == log, "the log was touched");
        std::fs::write(&left, "").unwrap();
    }
    std::fs::write(&left, file).unwrap();
    assert_eq!(open(&left, &clock).stats().await.unwrap().visible, 3);
}

#[tokio::test]
async fn a_damaged_file_is_refused_in_one_line_and_unchanged() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let path = folder.path().join("queue.db");
    let queue = open(&path, &clock);
    for number in 0..50 {
        queue.send(message(number.to_string().repeat(1000))).await.unwrap();
    }
    drop(queue);
    let whole = std::fs::read(&path).unwrap();
    let half = whole.len() / 8192 * 4096;
    let mut garbled = whole.clone();
    garbled[half..half + 4096].fill(0xa5);
    for damaged in [&whole[..half], &whole[..half + 100], &garbled] {
        std::fs::write(&path, damaged).unwrap();
        let error = try_open(&path, &clock).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("damaged"), "{error}");
        assert!(error.contains("from a backup") && !error.contains('\n'), "{error}");
        assert!(std::fs::read(&path).unwrap() == damaged, "it was touched");
    }
    std::fs::write(&path, whole).unwrap();
    assert_eq!(open(&path, &clock).stats().await.unwrap().visible, 50);
}

#[test]
fn a_database_of_another_program_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = try_open(&path, &ManualClock::new()).unwrap_err().to_string();
    assert!(error.contains("another program"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("queue.db"), ManualClock::new());
    drop(open(&path, &clock));
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = try_open(&path, &clock).unwrap_err().to_string();
    assert!(error.contains("schema version 99") && error.contains("newer Keelson"), "{error}");
}

#[test]
fn a_path_that_cannot_be_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing/queue.db")] {
        let error = try_open(&path, &ManualClock::new()).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let Harness { queue, _folder, .. } = harness().await.unwrap();
    queue.send(message("private")).await.unwrap();
    for entry in _folder.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }
}
