//! Users in a file of SQLite: the conformance suite, and files that are not as they should be.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use backends::local::SqliteQueue;
use backends::{QueueContext, UserDatabase};
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::Outbox;
use chassis::telemetry::storage::StorageFailures;
use chassis::testing::outbox_suite::OutboxHarness;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::time::{Duration, sleep};
use users::store::UserStore;
use users::testing::UserHarness;

use crate::users::{assert_is_of_the_database, id, open, open_database, try_open, user};

struct Harness {
    url: String,
    database: UserDatabase,
    _folder: TempDir,
}

#[async_trait]
impl UserHarness for Harness {
    fn store(&self) -> Arc<dyn UserStore> {
        self.database.store.clone()
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        self.database.outbox.clone()
    }

    async fn other_process(&self) -> Arc<dyn UserStore> {
        open(&self.url).await
    }
}

async fn harness() -> Option<Harness> {
    let (folder, _, url) = place();
    let database = open_database(&url).await;
    Some(Harness { url, database, _folder: folder })
}

users::user_conformance!(harness);

#[async_trait]
impl OutboxHarness for Harness {
    fn outbox(&self) -> Arc<dyn Outbox> {
        self.database.outbox.clone()
    }
}

mod outbox {
    use super::harness;

    chassis::outbox_conformance!(harness);
}

fn place() -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    let url = format!("sqlite:{}", path.display());
    (folder, path, url)
}

async fn refusal(url: &str) -> String {
    try_open(url).await.unwrap_err().to_string()
}

#[tokio::test]
async fn users_are_there_when_the_file_is_opened_again_and_nobody_else_may_read_it() {
    let (_folder, path, url) = place();
    open(&url).await.create(user("ann")).await.unwrap();
    assert_eq!(open(&url).await.find(id("ann")).await.unwrap().unwrap(), user("ann").user);
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_of_a_newer_format_is_refused_and_left_alone() {
    let (_folder, path, url) = place();
    open(&url).await.create(user("ann")).await.unwrap();
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let text = refusal(&url).await;
    assert!(text.contains("format 99") && text.contains("newer Keelson"), "{text}");
    connection.pragma_update(None, "user_version", 1).unwrap();
    assert!(open(&url).await.find(id("ann")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_of_the_queue_or_of_another_program_is_refused() {
    let (_folder, path, url) = place();
    let clock = SystemClock::shared();
    let ids = Ids::new(clock.clone());
    let failures = StorageFailures::default();
    drop(SqliteQueue::open(&path, QueueContext { clock, ids, max_receive_count: 3, failures }).unwrap());
    let text = refusal(&url).await;
    assert!(text.contains("of another kind") && text.contains("name another file"), "{text}");
}

#[tokio::test]
async fn a_database_may_hold_other_people_s_tables_but_none_of_our_names() {
    let (_folder, path, url) = place();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE letters (a); INSERT INTO letters VALUES (1)").unwrap();
    open(&url).await.create(user("ann")).await.unwrap();
    let letters: i64 = connection.query_row("SELECT count(*) FROM letters", [], |row| row.get(0)).unwrap();
    assert_eq!(letters, 1);

    let (_folder, path, url) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE users (a)").unwrap();
    let text = refusal(&url).await;
    assert!(text.contains("0001_create_users") && text.contains("a file without other tables"), "{text}");
}

#[tokio::test]
async fn a_damaged_file_is_said_to_be_damaged() {
    let (_folder, path, url) = place();
    std::fs::write(&path, "no database at all, but as long as one would be").unwrap();
    let text = refusal(&url).await;
    assert!(text.contains("damaged or no SQLite database") && text.contains("backup"), "{text}");

    let (_folder, path, url) = place();
    let store = open(&url).await;
    for number in 0..200 {
        store.create(user(&number.to_string())).await.unwrap();
    }
    drop(store);
    sleep(Duration::from_millis(200)).await;
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 8 * 4096, "the log is not in the file: {}", bytes.len());
    bytes[4096..3 * 4096].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let text = refusal(&url).await;
    assert!(text.contains("it is damaged") && text.contains("backup"), "{text}");
}

#[tokio::test]
async fn a_log_without_its_file_is_kept() {
    let (_folder, path, url) = place();
    let log = path.with_extension("db-wal");
    std::fs::write(&log, "acknowledged rows").unwrap();
    let text = refusal(&url).await;
    assert!(text.contains("its log is not"), "{text}");
    assert_eq!(std::fs::read(&log).unwrap(), b"acknowledged rows");
}

#[tokio::test]
async fn a_folder_that_takes_no_file_is_named() {
    // Not even the administrator writes there.
    for folder in ["/proc/self", "/nowhere/at/all"] {
        let text = refusal(&format!("sqlite:{folder}/users.db")).await;
        assert!(text.contains(folder) && text.contains("an existing folder"), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_was_moved_away_takes_nothing_until_it_is_back() {
    let (folder, path, url) = place();
    let store = open(&url).await;
    store.create(user("ann")).await.unwrap();
    let away = folder.path().join("away");
    std::fs::create_dir(&away).unwrap();
    let move_all = |from: &std::path::Path, to: &std::path::Path| {
        for name in ["users.db", "users.db-wal", "users.db-shm"] {
            std::fs::rename(from.join(name), to.join(name)).unwrap();
        }
    };
    move_all(folder.path(), &away);
    assert_is_of_the_database(&store.create(user("bob")).await.unwrap_err());
    assert_is_of_the_database(&store.find(id("ann")).await.unwrap_err());
    assert!(!path.exists(), "a file was made in its place");
    move_all(&away, folder.path());
    store.create(user("carol")).await.unwrap();
    assert!(store.find(id("ann")).await.unwrap().is_some() && store.find(id("carol")).await.unwrap().is_some());
    assert_eq!(store.count().await.unwrap().total, 2);
}

#[tokio::test]
async fn a_file_that_another_process_keeps_locked_is_unavailable_and_back_by_itself() {
    let (_folder, path, url) = place();
    let store = open(&url).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.create(user("ann")).await.unwrap_err();
    assert_is_of_the_database(&refused);
    assert!(store.find(id("ann")).await.unwrap().is_none(), "reads wait for nobody");
    other.execute_batch("ROLLBACK").unwrap();
    store.create(user("ann")).await.unwrap();
}
