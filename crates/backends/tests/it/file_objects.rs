//! Objects as files: the conformance suite, and what a file system adds to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backends::local::FileObjects;
use bytes::Bytes;
use chassis::ports::{ObjectError, ObjectKey, ObjectStore, Put};
use chassis::telemetry::storage::StorageFailures;
use chassis::testing::object_suite::ObjectHarness;
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

struct Harness {
    store: Arc<FileObjects>,
    folder: TempDir,
}

fn open(folder: &Path) -> Arc<FileObjects> {
    FileObjects::open(folder.join("objects"), &StorageFailures::default()).unwrap()
}

async fn harness() -> Option<Harness> {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    Some(Harness { store, folder })
}

impl ObjectHarness for Harness {
    fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }
}

chassis::object_conformance!(harness);

/// As a process that died may have left it.
const LEFT_OVER: &str = "0123456789abcdef0123456789abcdef-1";

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

async fn put(store: &FileObjects, text: &str, body: &'static str) -> Result<Put, ObjectError> {
    store.put_if_absent(&key(text), Bytes::from_static(body.as_bytes()), "application/json").await
}

fn names(folder: &Path) -> Vec<String> {
    folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn objects_lie_as_plain_files_under_their_key() {
    let Harness { store, folder } = harness().await.unwrap();
    put(&store, "messages/2025/06/09/1.json", "{}").await.unwrap();
    let file = folder.path().join("objects/messages/2025/06/09/1.json");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "{}");
    assert!(names(&store.path().join(".tmp")).is_empty(), "a temporary file is left");
}

#[tokio::test]
async fn objects_outlive_the_process_and_leftovers_do_not() {
    let Harness { store, folder } = harness().await.unwrap();
    put(&store, "kept", "x").await.unwrap();
    std::fs::write(store.path().join(".tmp").join(LEFT_OVER), "half").unwrap();
    drop(store);
    // The thread that answered may hold the folder for a moment longer, and its lock with it.
    let begun = Instant::now();
    let store = loop {
        let store = open(folder.path());
        if names(&store.path().join(".tmp")).is_empty() {
            break store;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "what was left is still there");
        drop(store);
        tokio::task::yield_now().await;
    };
    assert_eq!(store.get(&key("kept")).await.unwrap().unwrap(), "x");
}

#[tokio::test]
async fn what_is_not_ours_is_not_cleared_away() {
    let Harness { store, folder } = harness().await.unwrap();
    let temporary = store.path().join(".tmp");
    drop(store);
    let theirs = ["notes.txt", "1-1", "0123456789abcdef0123456789abcdef-1.bak", "0123456789abcdef0123456789abcdeg-1"];
    for name in theirs {
        std::fs::write(temporary.join(name), "theirs").unwrap();
    }
    std::fs::create_dir(temporary.join("folder")).unwrap();
    open(folder.path());
    let mut left = names(&temporary);
    left.sort();
    let mut expected = [theirs.as_slice(), &["folder"]].concat();
    expected.sort_unstable();
    assert_eq!(left, expected);
}

#[cfg(unix)]
#[tokio::test]
async fn an_object_that_is_found_is_written_again_byte_for_byte() {
    use std::os::unix::fs::MetadataExt;
    let Harness { store, folder } = harness().await.unwrap();
    put(&store, "day/1", "first").await.unwrap();
    let file = folder.path().join("objects/day/1");
    let kept = std::fs::File::open(&file).unwrap();
    assert_eq!(put(&store, "day/1", "second").await.unwrap(), Put::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "first");
    let (before, after) = (kept.metadata().unwrap().ino(), file.metadata().unwrap().ino());
    assert_ne!(before, after, "an fsync of the same file proves nothing after one that failed");
    assert!(names(&store.path().join(".tmp")).is_empty());
}

#[tokio::test]
async fn a_folder_that_is_made_anew_is_found_and_none_is_made_in_its_place() {
    let Harness { store, folder } = harness().await.unwrap();
    let path = folder.path().join("objects");
    std::fs::remove_dir_all(&path).unwrap();
    for _ in 0..3 {
        assert!(matches!(put(&store, "a", "x").await, Err(ObjectError::Unavailable(_))));
    }
    assert!(!path.exists(), "a missing folder may be a disk that is not mounted");
    std::fs::create_dir(&path).unwrap();
    assert!(store.ping().await.is_err(), "the call that finds out");
    assert!(store.ping().await.is_ok());
    assert_eq!(put(&store, "a", "x").await.unwrap(), Put::Created);
    assert_eq!(std::fs::read_to_string(path.join("a")).unwrap(), "x");
}

#[tokio::test]
async fn a_folder_of_temporary_files_that_another_made_anew_is_found() {
    let Harness { store, folder } = harness().await.unwrap();
    let temporary = store.path().join(".tmp");
    std::fs::remove_dir(&temporary).unwrap();
    let _guest = open(folder.path());
    assert!(matches!(put(&store, "day/1", "x").await, Err(ObjectError::Unavailable(_))), "the call that finds out");
    assert_eq!(put(&store, "day/1", "x").await.unwrap(), Put::Created);
    std::fs::remove_dir(&temporary).unwrap();
    assert!(put(&store, "day/2", "x").await.is_err());
    assert_eq!(put(&store, "day/2", "x").await.unwrap(), Put::Created, "it makes one itself");
}

#[tokio::test]
async fn a_folder_that_is_removed_again_and_again_costs_no_object_that_was_confirmed() {
    let Harness { store, folder: _folder } = harness().await.unwrap();
    let day = store.path().join("day");
    let putters = (0..200).map(|number| {
        let (store, day) = (Arc::clone(&store), day.clone());
        async move {
            if number % 20 == 0 {
                let _removed_when_empty = std::fs::remove_dir(&day);
            }
            let outcome = put(&store, &format!("day/{number}"), "x").await;
            (number, outcome)
        }
    });
    let outcomes = join_all(putters).await;
    for (number, outcome) in outcomes {
        let is_there = day.join(number.to_string()).exists();
        assert!(outcome.is_err() || is_there, "{number} was confirmed and is not there: {outcome:?}");
    }
}

#[tokio::test]
async fn opening_takes_nothing_from_those_who_write() {
    let Harness { store, folder } = harness().await.unwrap();
    std::fs::write(store.path().join(".tmp").join(LEFT_OVER), "half").unwrap();
    let guest = open(folder.path());
    assert_eq!(names(&store.path().join(".tmp")), [LEFT_OVER], "a guest cleared away what its host was writing");
    drop(store);
    let second = open(folder.path());
    assert_eq!(names(&second.path().join(".tmp")), [LEFT_OVER]);
    drop((guest, second));
    let alone = open(folder.path());
    assert!(names(&alone.path().join(".tmp")).is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn no_symbolic_link_leads_out_of_the_folder() {
    let Harness { store, folder } = harness().await.unwrap();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(&outside, store.path().join("link")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), store.path().join("file")).unwrap();
    std::os::unix::fs::symlink(outside.join("new"), store.path().join("dangling")).unwrap();

    for text in ["link/secret", "link/new", "file", "dangling"] {
        let outcome = put(&store, text, "x").await;
        assert!(matches!(outcome, Err(ObjectError::Other(_))), "put {text}: {outcome:?}");
        let outcome = store.get(&key(text)).await;
        assert!(!matches!(outcome, Ok(Some(_))), "get {text}: {outcome:?}");
        let outcome = store.delete(&key(text)).await;
        assert!(!matches!(outcome, Ok(true)), "delete {text}: {outcome:?}");
    }
    assert_eq!(names(&outside), ["secret"]);
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_store_whose_folder_is_gone_is_unavailable() {
    let Harness { store, folder: _folder } = harness().await.unwrap();
    std::fs::remove_dir_all(store.path()).unwrap();
    assert!(matches!(store.ping().await, Err(ObjectError::Unavailable(_))));
    assert!(matches!(put(&store, "a/b", "x").await, Err(ObjectError::Unavailable(_))));
    assert!(matches!(store.get(&key("a/b")).await, Err(ObjectError::Unavailable(_))));
    assert!(matches!(store.delete(&key("a/b")).await, Err(ObjectError::Unavailable(_))));
}

#[tokio::test]
async fn a_folder_that_was_removed_is_made_anew() {
    let Harness { store, folder: _folder } = harness().await.unwrap();
    put(&store, "day/1", "x").await.unwrap();
    std::fs::remove_dir_all(store.path().join("day")).unwrap();
    assert_eq!(put(&store, "day/1", "y").await.unwrap(), Put::Created);
    assert_eq!(store.get(&key("day/1")).await.unwrap().unwrap(), "y");
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects");
    std::fs::write(&path, "x").unwrap();
    let error = FileObjects::open(&path, &StorageFailures::default()).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("need a folder"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folders_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let Harness { store, folder } = harness().await.unwrap();
    put(&store, "day/1.json", "{}").await.unwrap();
    for (name, expected) in [("", 0o700), (".tmp", 0o700), ("day", 0o700), ("day/1.json", 0o600)] {
        let path = folder.path().join("objects").join(name);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, expected, "{}", path.display());
    }
}

#[tokio::test]
async fn a_list_tells_when_an_object_was_last_written() {
    let Harness { store, .. } = &harness().await.unwrap();
    put(store, "a/1", "x").await.unwrap();
    let file = std::fs::File::options().write(true).open(store.path().join("a/1")).unwrap();
    let at = Timestamp::from_second(1_600_000_000).unwrap();
    file.set_modified(at.into()).unwrap();
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed[0].modified_at, Some(at));
    // The retry of a writer makes it new.
    put(store, "a/1", "x").await.unwrap();
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(listed[0].modified_at.unwrap() > at);
}

#[tokio::test]
async fn only_an_empty_folder_is_removed() {
    let Harness { store, .. } = &harness().await.unwrap();
    put(store, "day/1", "x").await.unwrap();
    put(store, "file", "x").await.unwrap();
    for other in ["day", "file", "never", "never/there"] {
        assert!(!store.remove_empty_folder(&key(other)).await.unwrap(), "{other}");
    }
    assert!(store.delete(&key("day/1")).await.unwrap());
    assert!(store.remove_empty_folder(&key("day")).await.unwrap());
    assert!(!store.path().join("day").exists());
    assert_eq!(put(store, "day/1", "y").await.unwrap(), Put::Created);
    assert_eq!(store.get(&key("day/1")).await.unwrap().unwrap(), "y");
}

/// Each finds the folder empty again and again, in a process of its own as it were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_removed_whenever_it_is_empty_is_in_nobodys_way() {
    let Harness { store, folder } = harness().await.unwrap();
    let (other, remover) = (open(folder.path()), open(folder.path()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let ended = Arc::clone(&stop);
    tasks.spawn(async move {
        let mut removed = 0;
        while !ended.load(Ordering::Relaxed) {
            removed += usize::from(remover.remove_empty_folder(&key("a/day")).await.unwrap());
            // One who does nothing else would win against a writer's every attempt now and then.
            sleep(Duration::from_millis(1)).await;
        }
        removed
    });
    let write = |store: Arc<FileObjects>, name: &'static str| async move {
        for number in 0..300 {
            let text = format!("a/day/{name}-{number}");
            assert_eq!(put(&store, &text, "x").await.unwrap(), Put::Created, "{text}");
            assert!(store.delete(&key(&text)).await.unwrap(), "{text} is gone");
        }
    };
    tokio::join!(write(store, "one"), write(other, "other"));
    stop.store(true, Ordering::Relaxed);
    let removed = tasks.join_next().await.unwrap().unwrap();
    assert!(removed > 10, "the folder was removed {removed} times");
}
