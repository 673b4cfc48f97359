//! Backends by URL.

use std::collections::BTreeMap;

use backends::{OpenError, QueueContext, open_objects, open_queue, secret_sources};
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::NewMessage;
use chassis::telemetry::storage::StorageFailures;

fn context() -> QueueContext {
    let clock = SystemClock::shared();
    QueueContext { ids: Ids::new(clock.clone()), clock, max_receive_count: 3, failures: StorageFailures::default() }
}

#[tokio::test]
async fn queues_open_by_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    for url in ["memory:".to_owned(), format!("sqlite:{}", path.display()), format!("sqlite://{}", path.display())] {
        let queue = open_queue(&url, context()).await.unwrap();
        queue.send(NewMessage::new("x", BTreeMap::new())).await.unwrap();
        queue.ping().await.unwrap();
    }
    let queue = open_queue(&format!("sqlite:{}", path.display()), context()).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().visible, 2);
}

#[tokio::test]
async fn object_stores_open_by_scheme() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["memory:".to_owned(), format!("file:{}", folder.path().join("objects").display())] {
        open_objects(&url, &StorageFailures::default()).await.unwrap().ping().await.unwrap();
    }
    assert!(folder.path().join("objects").is_dir());
}

#[tokio::test]
async fn an_unknown_scheme_lists_the_known_ones_and_hides_the_rest() {
    let error = open_queue("amqp://user:hunter2@host/queue", context()).await.unwrap_err();
    assert!(matches!(error, OpenError::UnknownScheme { .. }));
    let text = error.to_string();
    assert!(text.contains("`amqp`") && text.contains("sqlite:PATH") && text.contains("memory:"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let text = open_objects("just-a-folder", &StorageFailures::default()).await.unwrap_err().to_string();
    assert!(text.contains("`just-a-folder`") && text.contains("file:DIR"), "{text}");
}

#[tokio::test]
async fn a_url_of_the_wrong_form_says_the_right_one() {
    for url in ["sqlite:", "sqlite://", "memory:something"] {
        let error = open_queue(url, context()).await.unwrap_err();
        assert!(matches!(error, OpenError::Malformed { .. }), "{url}: {error}");
    }
    for url in ["file:", "memory:something"] {
        let error = open_objects(url, &StorageFailures::default()).await.unwrap_err();
        assert!(matches!(error, OpenError::Malformed { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn the_file_scheme_of_secrets_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "value").unwrap();
    let sources = secret_sources();
    assert_eq!(sources.keys().copied().collect::<Vec<_>>(), ["file"]);
    sources["file"].fetch(path.to_str().unwrap()).await.unwrap();
}
