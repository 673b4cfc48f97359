//! Picks the backend by the scheme of its URL.

use std::collections::BTreeMap;
use std::sync::Arc;

use chassis::clock::Clock;
use chassis::ids::Ids;
use chassis::ports::{MemoryObjects, MemoryQueue, ObjectStore, Queue, SecretSource};
use chassis::telemetry::storage::StorageFailures;

use crate::OpenError;
use crate::aws::{Aws, ParameterSecrets, S3Encryption, S3Objects, SecretsManagerSecrets, SqsQueue};
use crate::local::{FileObjects, FileSecrets, SqliteQueue};

/// What a queue needs beside its URL.
#[derive(Debug, Clone)]
pub struct QueueContext {
    /// The queue's time.
    pub clock: Arc<dyn Clock>,
    /// Names messages and deliveries.
    pub ids: Arc<Ids>,
    /// How often a message is delivered before it is given up; where the backend has no rule of its own.
    pub max_receive_count: u32,
    /// Where failures of the disk are counted.
    pub failures: StorageFailures,
}

/// What an object store needs beside its URL.
#[derive(Debug, Clone)]
pub struct ObjectContext {
    /// Where failures of the disk are counted.
    pub failures: StorageFailures,
    /// The account of buckets.
    pub aws: Arc<Aws>,
    /// How S3 encrypts what is written.
    pub encryption: S3Encryption,
}

const QUEUE_SCHEMES: &str = "`sqlite:PATH` (a file), `sqs:URL` and `memory:` (forgets at the end)";
const OBJECT_SCHEMES: &str =
    "`file:DIR` (a folder), `s3:BUCKET` or `s3://BUCKET/PREFIX`, and `memory:` (forgets at the end)";

/// Opens the queue that `url` names.
///
/// # Errors
/// When the URL is not understood or the queue cannot be opened; the message says how to fix it.
pub async fn open_queue(url: &str, aws: &Arc<Aws>, context: QueueContext) -> Result<Arc<dyn Queue>, OpenError> {
    match split(url) {
        ("memory", rest) => {
            expect_nothing("queue", rest)?;
            Ok(MemoryQueue::new(context.clock, context.ids, context.max_receive_count))
        }
        ("sqlite", path) => {
            let path = expect_path("queue", path, "`sqlite:` and the path of a file")?;
            blocking(move || SqliteQueue::open(path, context)).await.map(|queue| queue as _)
        }
        ("sqs", url) => SqsQueue::open(aws, url, context.clock).await.map(|queue| queue as _),
        (found, _) => Err(unknown("queue", found, QUEUE_SCHEMES)),
    }
}

/// Whether there is something to open under `url`, for those who must not make a new queue.
///
/// # Errors
/// When the URL is not understood.
pub fn queue_exists(url: &str) -> Result<bool, OpenError> {
    match split(url) {
        ("memory", rest) => expect_nothing("queue", rest).map(|()| false),
        ("sqlite", path) => {
            let path = expect_path("queue", path, "`sqlite:` and the path of a file")?;
            Ok(SqliteQueue::exists(path.as_ref()))
        }
        // Whoever works with it finds out, and makes none.
        ("sqs", _) => Ok(true),
        (found, _) => Err(unknown("queue", found, QUEUE_SCHEMES)),
    }
}

/// Whether what `url` names lies on this machine's disk, where one process owns it.
#[must_use]
pub fn is_local(url: &str) -> bool {
    matches!(split(url).0, "file" | "sqlite")
}

/// Opens the object store that `url` names. Asks a store that is elsewhere nothing.
///
/// # Errors
/// When the URL is not understood or the store cannot be opened; the message says how to fix it.
pub async fn open_objects(url: &str, context: ObjectContext) -> Result<Arc<dyn ObjectStore>, OpenError> {
    match split(url) {
        ("memory", rest) => {
            expect_nothing("object store", rest)?;
            Ok(MemoryObjects::new())
        }
        ("file", path) => {
            let path = expect_path("object store", path, "`file:` and the path of a folder")?;
            blocking(move || FileObjects::open(path, &context.failures)).await.map(|store| store as _)
        }
        ("s3", place) => {
            let place = place.strip_prefix("//").unwrap_or(place);
            let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
            S3Objects::open(&context.aws, bucket, prefix, &context.encryption).map(|store| store as _)
        }
        (found, _) => Err(unknown("object store", found, OBJECT_SCHEMES)),
    }
}

/// The sources of secrets by scheme. `env:` is not here: only the chassis reads the environment.
#[must_use]
pub fn secret_sources(aws: &Arc<Aws>) -> BTreeMap<&'static str, Arc<dyn SecretSource>> {
    let mut sources: BTreeMap<&'static str, Arc<dyn SecretSource>> = BTreeMap::new();
    sources.insert("file", Arc::new(FileSecrets));
    sources.insert("ssm", Arc::new(ParameterSecrets::new(Arc::clone(aws))));
    sources.insert("secretsmanager", Arc::new(SecretsManagerSecrets::new(Arc::clone(aws))));
    sources
}

fn split(url: &str) -> (&str, &str) {
    url.split_once(':').unwrap_or((url, ""))
}

fn expect_nothing(kind: &'static str, rest: &str) -> Result<(), OpenError> {
    match rest.trim_start_matches('/') {
        "" => Ok(()),
        _ => Err(OpenError::Malformed { kind, expected: "nothing follows `memory:`" }),
    }
}

/// `sqlite:queue.db`, `sqlite:/data/queue.db` and, as others write it, `sqlite:///data/queue.db`.
fn expect_path(kind: &'static str, path: &str, expected: &'static str) -> Result<String, OpenError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    match path {
        "" => Err(OpenError::Malformed { kind, expected }),
        _ => Ok(path.to_owned()),
    }
}

fn unknown(kind: &'static str, found: &str, known: &'static str) -> OpenError {
    OpenError::UnknownScheme { kind, found: found.to_owned(), known }
}

async fn blocking<T: Send + 'static>(
    open: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    let task = tokio::task::spawn_blocking(open).await;
    task.map_err(|error| OpenError::Thread(error.into()))?
}
