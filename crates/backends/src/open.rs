//! Picks the backend by the scheme of its URL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use analytics::MemoryEvents;
use analytics::store::EventStore;
use chassis::clock::Clock;
use chassis::ids::Ids;
use chassis::ports::{MemoryObjects, MemoryQueue, ObjectStore, Outbox, Queue, SecretSource};
use chassis::telemetry::storage::StorageFailures;
use orders::MemoryOrders;
use orders::store::OrderStore;
use secrecy::{ExposeSecret, SecretString};
use users::MemoryUsers;
use users::store::UserStore;

use crate::OpenError;
use crate::aws::{
    Aws, ParameterSecrets, S3Encryption, S3Objects, SecretsManagerSecrets, SqsQueue, check_bucket, check_queue_url,
};
use crate::local::{FileObjects, FileSecrets, SqliteQueue};
use crate::migrations::{self, Migrations};
use crate::mongo::MongoEvents;
use crate::postgres::{Address, PostgresQueue};
use crate::sql::{
    ANALYTICS, Database, ORDERS, PostgresDatabase, SqlEvents, SqlOrders, SqlUsers, SqliteFiles, Statement, USERS,
};

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

const QUEUE_SCHEMES: &str =
    "`sqlite:PATH` (a file), `postgres://USER:PASSWORD@HOST/DATABASE`, `sqs:URL` and `memory:` (forgets at the end)";
const DATABASE_SCHEMES: &str =
    "`sqlite:PATH` (a file), `postgres://USER:PASSWORD@HOST/DATABASE` and `memory:` (forgets at the end)";
const EVENT_SCHEMES: &str = "`sqlite:PATH` (a file), `postgres://USER:PASSWORD@HOST/DATABASE`, `mongodb://USER:PASSWORD@HOST/DATABASE`, \
                             `mongodb+srv://…` and `memory:` (forgets at the end)";
const OBJECT_SCHEMES: &str =
    "`file:DIR` (a folder), `s3:BUCKET` or `s3://BUCKET/PREFIX`, and `memory:` (forgets at the end)";

/// What the URL of a queue leads to.
#[derive(Debug, Clone)]
pub enum QueuePlace {
    /// In this process, until it ends.
    Memory,
    /// An SQLite file.
    File(PathBuf),
    /// A database of PostgreSQL: what follows the scheme, which may hold a password.
    Postgres(SecretString),
    /// A queue of SQS, by its URL.
    Sqs(String),
}

/// What a store in a database needs beside its URL.
#[derive(Debug, Clone)]
pub struct SqlContext {
    /// When migrations were made.
    pub clock: Arc<dyn Clock>,
    /// Where failures of the disk are counted.
    pub failures: StorageFailures,
    /// Files that are open, for stores that lie in the same one.
    pub files: SqliteFiles,
}

/// What the URL of a store's database leads to.
#[derive(Debug, Clone)]
pub enum DatabasePlace {
    /// In this process, until it ends.
    Memory,
    /// An SQLite file.
    File(PathBuf),
    /// A database of PostgreSQL: what follows the scheme, which may hold a password.
    Postgres(SecretString),
}

/// What the URL of an object store leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectPlace {
    /// In this process, until it ends.
    Memory,
    /// A folder.
    Folder(PathBuf),
    /// Keys of a bucket on S3.
    Bucket {
        /// The bucket.
        name: String,
        /// What keys begin with; may be empty.
        prefix: String,
    },
}

impl QueuePlace {
    /// Reads the URL, and asks nobody.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn of(url: &str) -> Result<Self, OpenError> {
        match split(url) {
            ("memory", rest) => expect_nothing("queue", rest).map(|()| Self::Memory),
            ("sqlite", path) => {
                expect_path("queue", path, "`sqlite:` and the path of a file").map(|path| Self::File(path.into()))
            }
            ("postgres" | "postgresql", rest) => Ok(Self::Postgres(rest.into())),
            ("sqs", url) => check_queue_url(url).map(|()| Self::Sqs(url.to_owned())),
            (found, _) => Err(unknown("queue", found, QUEUE_SCHEMES)),
        }
    }
}

impl DatabasePlace {
    /// Reads the URL of a store of some `kind`, which messages name, and asks nobody.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn of(kind: &'static str, url: &str) -> Result<Self, OpenError> {
        match split(url) {
            ("memory", rest) => expect_nothing(kind, rest).map(|()| Self::Memory),
            ("sqlite", path) => {
                expect_path(kind, path, "`sqlite:` and the path of a file").map(|path| Self::File(path.into()))
            }
            ("postgres" | "postgresql", rest) => Ok(Self::Postgres(rest.into())),
            (found, _) if kind == ANALYTICS.kind => Err(unknown(kind, found, EVENT_SCHEMES)),
            (found, _) => Err(unknown(kind, found, DATABASE_SCHEMES)),
        }
    }
}

impl ObjectPlace {
    /// Reads the URL, and asks nobody.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn of(url: &str) -> Result<Self, OpenError> {
        match split(url) {
            ("memory", rest) => expect_nothing("object store", rest).map(|()| Self::Memory),
            ("file", path) => {
                let path = expect_path("object store", path, "`file:` and the path of a folder");
                path.map(|path| Self::Folder(path.into()))
            }
            ("s3", place) => {
                let place = place.strip_prefix("//").unwrap_or(place);
                let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
                check_bucket(name)?;
                Ok(Self::Bucket { name: name.to_owned(), prefix: prefix.to_owned() })
            }
            (found, _) => Err(unknown("object store", found, OBJECT_SCHEMES)),
        }
    }
}

/// Opens the queue that `url` names.
///
/// # Errors
/// When the URL is not understood or the queue cannot be opened; the message says how to fix it.
pub async fn open_queue(url: &str, aws: &Arc<Aws>, context: QueueContext) -> Result<Arc<dyn Queue>, OpenError> {
    match QueuePlace::of(url)? {
        QueuePlace::Memory => Ok(MemoryQueue::new(context.clock, context.ids, context.max_receive_count)),
        QueuePlace::File(path) => blocking(move || SqliteQueue::open(path, context)).await.map(|queue| queue as _),
        QueuePlace::Postgres(place) => {
            PostgresQueue::open(place.expose_secret(), context).await.map(|queue| queue as _)
        }
        QueuePlace::Sqs(url) => SqsQueue::open(aws, &url, context.clock).await.map(|queue| queue as _),
    }
}

/// Users, and the events that are written with them.
#[derive(Debug, Clone)]
pub struct UserDatabase {
    /// The users.
    pub store: Arc<dyn UserStore>,
    /// Their events.
    pub outbox: Arc<dyn Outbox>,
}

impl UserDatabase {
    /// One that forgets at the end.
    #[must_use]
    pub fn in_memory() -> Self {
        let store = MemoryUsers::new();
        Self { outbox: store.outbox(), store }
    }
}

/// Orders, and the events that are written with them.
#[derive(Debug, Clone)]
pub struct OrderDatabase {
    /// The orders.
    pub store: Arc<dyn OrderStore>,
    /// Their events.
    pub outbox: Arc<dyn Outbox>,
}

impl OrderDatabase {
    /// One that forgets at the end.
    #[must_use]
    pub fn in_memory() -> Self {
        let store = MemoryOrders::new();
        Self { outbox: store.outbox(), store }
    }
}

impl From<Arc<SqlOrders>> for OrderDatabase {
    fn from(store: Arc<SqlOrders>) -> Self {
        Self { outbox: store.outbox(), store }
    }
}

impl From<Arc<SqlUsers>> for UserDatabase {
    fn from(store: Arc<SqlUsers>) -> Self {
        Self { outbox: store.outbox(), store }
    }
}

/// Opens the database of users that `url` names, with tables that are up to date.
///
/// # Errors
/// When the URL is not understood or the database cannot be opened; the message says how to fix it.
pub async fn open_users(url: &str, context: SqlContext) -> Result<UserDatabase, OpenError> {
    let database = open_database(&USERS, url, &context, &SqlUsers::shared()).await?;
    Ok(database.map_or_else(UserDatabase::in_memory, |database| SqlUsers::new(database).into()))
}

/// Opens the database of orders that `url` names, with tables that are up to date.
///
/// # Errors
/// When the URL is not understood or the database cannot be opened; the message says how to fix it.
pub async fn open_orders(url: &str, context: SqlContext) -> Result<OrderDatabase, OpenError> {
    let database = open_database(&ORDERS, url, &context, &SqlOrders::shared()).await?;
    Ok(database.map_or_else(OrderDatabase::in_memory, |database| SqlOrders::new(database).into()))
}

/// The database of a service; `None` for memory.
async fn open_database(
    migrations: &'static Migrations,
    url: &str,
    context: &SqlContext,
    shared: &[&'static Statement],
) -> Result<Option<Arc<dyn Database>>, OpenError> {
    let now = context.clock.now();
    Ok(match DatabasePlace::of(migrations.kind, url)? {
        DatabasePlace::Memory => None,
        DatabasePlace::File(path) => {
            Some(context.files.open(migrations, &path, now, context.failures.of(FILES)).await?)
        }
        DatabasePlace::Postgres(rest) => {
            let address = Address::of(migrations.kind, rest.expose_secret())?;
            migrations::postgres::apply(migrations, &address, now).await?;
            Some(Arc::new(PostgresDatabase::new(&address, migrations.schema, shared)))
        }
    })
}

/// Opens the store of events that `url` names, with tables that are up to date, or with the indexes of its documents.
///
/// # Errors
/// When the URL is not understood or the database cannot be opened; the message says how to fix it.
pub async fn open_events(url: &str, context: SqlContext) -> Result<Arc<dyn EventStore>, OpenError> {
    if is_documents(url) {
        return Ok(MongoEvents::open(ANALYTICS.kind, url).await?);
    }
    let database = open_database(&ANALYTICS, url, &context, &SqlEvents::SHARED).await?;
    Ok(database.map_or_else(|| MemoryEvents::new() as _, |database| SqlEvents::new(database) as _))
}

/// Whether `url` leads to a database of documents, which has no tables and no migrations.
#[must_use]
pub fn is_documents(url: &str) -> bool {
    matches!(split(url).0, "mongodb" | "mongodb+srv")
}

/// What failures of the files of stores are counted under: many services may share one.
const FILES: &str = "database";

/// Whether there is something to open under `url`, for those who must not make a new queue.
///
/// # Errors
/// When the URL is not understood.
pub fn queue_exists(url: &str) -> Result<bool, OpenError> {
    Ok(match QueuePlace::of(url)? {
        QueuePlace::Memory => false,
        QueuePlace::File(path) => SqliteQueue::exists(&path),
        // Whoever works with it finds out.
        QueuePlace::Postgres(_) | QueuePlace::Sqs(_) => true,
    })
}

/// Whether what `url` names lies on this machine's disk: a queue, which one process owns, a store's database, or objects.
#[must_use]
pub fn is_local(url: &str) -> bool {
    matches!(split(url).0, "file" | "sqlite")
}

/// Opens the object store that `url` names. Asks a store that is elsewhere nothing.
///
/// # Errors
/// When the URL is not understood or the store cannot be opened; the message says how to fix it.
pub async fn open_objects(url: &str, context: ObjectContext) -> Result<Arc<dyn ObjectStore>, OpenError> {
    match ObjectPlace::of(url)? {
        ObjectPlace::Memory => Ok(MemoryObjects::new()),
        ObjectPlace::Folder(path) => {
            blocking(move || FileObjects::open(path, &context.failures)).await.map(|store| store as _)
        }
        ObjectPlace::Bucket { name, prefix } => {
            S3Objects::open(&context.aws, &name, &prefix, &context.encryption).map(|store| store as _)
        }
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
