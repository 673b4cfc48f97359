//! Objects as files: the conformance suite, and what a file system adds to it.

use std::path::Path;
use std::sync::Arc;

use backends::local::FileObjects;
use bytes::Bytes;
use chassis::ports::{ObjectError, ObjectKey, ObjectStore, Put};
use chassis::testing::object_suite::ObjectHarness;
use tempfile::TempDir;

struct Harness {
    store: Arc<FileObjects>,
    folder: TempDir,
}

async fn harness() -> Option<Harness> {
    let folder = tempfile::tempdir().unwrap();
    let store = FileObjects::open(folder.path().join("objects")).unwrap();
    Some(Harness { store, folder })
}

impl ObjectHarness for Harness {
    fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }
}

chassis::object_conformance!(harness);

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
    std::fs::write(store.path().join(".tmp/1-1"), "half").unwrap();
    drop(store);
    let store = FileObjects::open(folder.path().join("objects")).unwrap();
    assert!(names(&store.path().join(".tmp")).is_empty());
    assert_eq!(store.get(&key("kept")).await.unwrap().unwrap(), "x");
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
async fn opening_takes_nothing_from_those_who_write() {
    let Harness { store, folder } = harness().await.unwrap();
    std::fs::write(store.path().join(".tmp/1-1"), "half").unwrap();
    let guest = FileObjects::open(folder.path().join("objects")).unwrap();
    assert_eq!(names(&store.path().join(".tmp")), ["1-1"], "a guest cleared away what its host was writing");
    drop(store);
    let second = FileObjects::open(folder.path().join("objects")).unwrap();
    assert_eq!(names(&second.path().join(".tmp")), ["1-1"]);
    drop((guest, second));
    let alone = FileObjects::open(folder.path().join("objects")).unwrap();
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
    let error = FileObjects::open(&path).unwrap_err().to_string();
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
