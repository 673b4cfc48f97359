//! Backends by URL.

use std::collections::BTreeMap;
use std::sync::Arc;

use backends::aws::{Aws, AwsSettings, S3Encryption};
use backends::{
    ObjectContext, OpenError, QueueContext, is_local, open_objects, open_orders, open_queue, open_users, secret_sources,
};
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::NewMessage;
use chassis::telemetry::storage::StorageFailures;

use crate::users;

fn context() -> QueueContext {
    let clock = SystemClock::shared();
    QueueContext { ids: Ids::new(clock.clone()), clock, max_receive_count: 3, failures: StorageFailures::default() }
}

fn aws() -> Arc<Aws> {
    Aws::new(AwsSettings { region: "us-east-1".into(), endpoint_url: None })
}

fn object_context() -> ObjectContext {
    ObjectContext { failures: StorageFailures::default(), aws: aws(), encryption: S3Encryption::default() }
}

#[tokio::test]
async fn queues_open_by_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    for url in ["memory:".to_owned(), format!("sqlite:{}", path.display()), format!("sqlite://{}", path.display())] {
        let queue = open_queue(&url, &aws(), context()).await.unwrap();
        queue.send(NewMessage::new("x", BTreeMap::new())).await.unwrap();
        queue.ping().await.unwrap();
    }
    let queue = open_queue(&format!("sqlite:{}", path.display()), &aws(), context()).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().visible, 2);
}

#[tokio::test]
async fn object_stores_open_by_scheme() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["memory:".to_owned(), format!("file:{}", folder.path().join("objects").display())] {
        open_objects(&url, object_context()).await.unwrap().ping().await.unwrap();
    }
    assert!(folder.path().join("objects").is_dir());
}

#[tokio::test]
async fn an_unknown_scheme_lists_the_known_ones_and_hides_the_rest() {
    let error = open_queue("amqp://user:hunter2@host/queue", &aws(), context()).await.unwrap_err();
    assert!(matches!(error, OpenError::UnknownScheme { .. }));
    let text = error.to_string();
    assert!(text.contains("`amqp`") && text.contains("sqlite:PATH") && text.contains("memory:"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let text = open_objects("just-a-folder", object_context()).await.unwrap_err().to_string();
    assert!(text.contains("`just-a-folder`") && text.contains("file:DIR"), "{text}");
}

#[tokio::test]
async fn a_url_of_the_wrong_form_says_the_right_one() {
    for url in ["sqlite:", "sqlite://", "memory:something"] {
        let error = open_queue(url, &aws(), context()).await.unwrap_err();
        assert!(matches!(error, OpenError::Malformed { .. }), "{url}: {error}");
    }
    for url in ["file:", "memory:something", "s3:", "s3://", "s3:No-Bucket", "s3://letters/../up"] {
        let error = open_objects(url, object_context()).await.unwrap_err();
        assert!(matches!(error, OpenError::Malformed { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn stores_of_users_open_by_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.db");
    for url in ["memory:".to_owned(), format!("sqlite:{}", path.display()), format!("sqlite://{}", path.display())] {
        let store = open_users(&url, users::context()).await.unwrap().store;
        store.ping().await.unwrap();
        assert_eq!(store.count().await.unwrap().total, 0);
    }
    let text = open_users("mysql://user:hunter2@host/users", users::context()).await.unwrap_err().to_string();
    assert!(text.contains("unknown store of users scheme `mysql`") && text.contains("postgres://"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    for url in ["sqlite:", "memory:something", "postgres:users", "postgresql://h/users?password=hunter2"] {
        let error = open_users(url, users::context()).await.unwrap_err();
        assert!(matches!(error, OpenError::Malformed { kind: "store of users", .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn stores_of_orders_open_by_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.db");
    for url in ["memory:".to_owned(), format!("sqlite:{}", path.display())] {
        open_orders(&url, users::context()).await.unwrap().store.ping().await.unwrap();
    }
    let text = open_orders("mysql://user:hunter2@host/orders", users::context()).await.unwrap_err().to_string();
    assert!(text.contains("unknown store of orders scheme `mysql`") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_bucket_opens_without_being_asked() {
    for url in ["s3:letters", "s3://letters", "s3://letters/a/prefix"] {
        open_objects(url, object_context()).await.unwrap();
        assert!(!is_local(url));
    }
    assert!(is_local("sqlite:queue.db") && is_local("file:objects") && !is_local("memory:"));
}

#[tokio::test]
async fn the_schemes_of_secrets_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "value").unwrap();
    let sources = secret_sources(&aws());
    assert_eq!(sources.keys().copied().collect::<Vec<_>>(), ["file", "secretsmanager", "ssm"]);
    sources["file"].fetch(path.to_str().unwrap()).await.unwrap();
}
