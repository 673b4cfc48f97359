//! The one file that knows every service and every backend: configuration becomes stores, stores become services.

mod behind;
mod encryption;
mod follow;
mod peers;
mod secrets;
mod tables;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use analytics::MemoryEvents;
use analytics::store::EventStore;
use backends::aws::{Bill, CostCollector};
use backends::local::{DataFolder, FolderError, random_secret};
use backends::{
    ObjectContext, OrderDatabase, QueueContext, SqlContext, SqliteFiles, UserDatabase, is_local, open_events,
    open_objects, open_orders, open_queue, open_users, queue_exists,
};
use chassis::auth::{ApiToken, KeyRing, PoolSize, ServiceTokens, SigningKey, TokenKeys};
use chassis::client::ServiceUrls;
use chassis::ports::{MemoryObjects, MemoryQueue, ObjectStore, Queue, SecretError};
use chassis::service::{Context, Identity, Service};
use chassis::telemetry::storage::StorageFailures;
use pipeline::{archiver, ingest};
use secrecy::{ExposeSecret, SecretString};
use tracing::{info, warn};

use self::behind::behind_the_gateway;
pub(crate) use self::behind::warn_of_one_client;
pub(crate) use self::encryption::{ENCRYPTION_KEY_FILE, service_keys};
pub(crate) use self::follow::follow_file;
use self::peers::service_authenticator;
pub(crate) use self::peers::{Peers, token_verifier};
pub(crate) use self::secrets::{API_TOKEN_FILE, operators_issuer, operators_verifier, secret_sources};
use self::secrets::{api_token, token_issuer, token_keys};
pub(crate) use self::tables::{Tables, own_folder, tables};
use crate::cli::ServiceName;
use crate::commands::cost;
use crate::failure::Failure;
use crate::settings::{Database, Settings};

/// The crates that follow `LOG_LEVEL`; all others follow `LOG_FILTER`.
pub(crate) const OWN_CRATES: &[&str] =
    &["analytics", "backends", "chassis", "gateway", "keelson", "orders", "pipeline", "users"];

/// What the services of this process stand on. The folder's lock lives as long as this.
#[derive(Debug)]
pub(crate) struct Stores {
    /// Each is `None` where no service of the process needs it.
    queue: Option<Arc<dyn Queue>>,
    objects: Option<Arc<dyn ObjectStore>>,
    users: Option<UserDatabase>,
    orders: Option<OrderDatabase>,
    events: Option<Arc<dyn EventStore>>,
    keys: Option<Arc<TokenKeys>>,
    failures: StorageFailures,
    folder: Option<DataFolder>,
}

impl Stores {
    /// Whether this process owns the data folder, so that others find it through that.
    pub(crate) fn own_folder(&self) -> bool {
        self.folder.is_some()
    }
}

/// Opens the stores that the settings name and these services need.
pub(crate) async fn open(settings: &Settings, services: &[ServiceName], context: &Context) -> Result<Stores, Failure> {
    let stores_objects = services.contains(&ServiceName::Archiver);
    let folder = claim_folder(settings, services)?;
    let failures = StorageFailures::default();
    let objects = match stores_objects {
        true => Some(open_objects(&settings.objects_url, object_context(settings, &failures)).await?),
        false => None,
    };
    let queue = match uses_queue(services) {
        true => Some(queue(settings, queue_context(settings, context, &failures)).await?),
        false => None,
    };
    let keeps = |service: ServiceName| services.contains(&service);
    let files = SqliteFiles::default();
    let sql = || SqlContext { clock: Arc::clone(&context.clock), failures: failures.clone(), files: files.clone() };
    let records = match services.iter().any(|service| service.keeps_records()) {
        true => whole_url(settings, &settings.records).await?,
        false => SecretString::default(),
    };
    let users = match keeps(ServiceName::Users) {
        true => Some(open_users(records.expose_secret(), sql()).await?),
        false => None,
    };
    let orders = match keeps(ServiceName::Orders) {
        true => Some(open_orders(records.expose_secret(), sql()).await?),
        false => None,
    };
    let events = match keeps(ServiceName::Analytics) {
        true => Some(open_events(whole_url(settings, &settings.events).await?.expose_secret(), sql()).await?),
        false => None,
    };
    let keys = token_keys(settings, keeps(ServiceName::Users)).await?;
    Ok(Stores { queue, objects, users, orders, events, keys, failures, folder })
}

fn uses_queue(services: &[ServiceName]) -> bool {
    services.iter().any(|service| matches!(service, ServiceName::Ingest | ServiceName::Archiver))
}

async fn queue(settings: &Settings, context: QueueContext) -> Result<Arc<dyn Queue>, Failure> {
    let url = queue_url(settings).await?;
    Ok(open_queue(url.expose_secret(), &settings.aws, context).await?)
}

/// The whole URL of the queue.
pub(crate) async fn queue_url(settings: &Settings) -> Result<SecretString, Failure> {
    whole_url(settings, &settings.queue).await
}

/// The whole URL of a database, with a password that may have to be fetched.
async fn whole_url(settings: &Settings, database: &Database) -> Result<SecretString, Failure> {
    let Some(place) = &database.place else { return Ok(database.url.as_str().into()) };
    let fetched = match place.password.as_ref().and_then(|it| secret_sources(&settings.aws).reference(it)) {
        Some((source, reference)) => match source.fetch(&reference.name).await {
            Ok(password) => Some(password),
            Err(error @ SecretError::Unavailable(_)) => return Err(Failure::unavailable(error.to_string())),
            Err(error) => return Err(Failure::usage(format!("{}={reference}: {error}", place.password_name()))),
        },
        None => None,
    };
    place.url(fetched.as_ref().or(place.password.as_ref()))
}

/// One process owns the folder: the one whose queue, records or events lie in it, or whose secrets are made there. Objects
/// in it may be of many. A process that keeps everything elsewhere runs without a folder, such as in a container whose root cannot be
/// written: then other commands cannot find it, and that is all.
fn claim_folder(settings: &Settings, services: &[ServiceName]) -> Result<Option<DataFolder>, Failure> {
    // Alone it has nothing to keep there, and would keep out a service that has.
    if services == [ServiceName::Gateway] {
        return Ok(None);
    }
    let has = |service| services.contains(&service);
    let generates_token = has(ServiceName::Ingest) && settings.ingest.api_token.is_none();
    let generates_key = has(ServiceName::Users) && settings.chassis.tokens.key.is_none();
    let keeps_queue = uses_queue(services) && is_local(&settings.queue.url);
    let keeps_records = services.iter().any(|service| service.keeps_records()) && is_local(&settings.records.url);
    let keeps_events = has(ServiceName::Analytics) && is_local(&settings.events.url);
    let must_own = generates_token || generates_key || keeps_queue || keeps_records || keeps_events;
    let keeps_objects = has(ServiceName::Archiver) && is_local(&settings.objects_url);
    match DataFolder::lock(&settings.data) {
        Ok(folder) => Ok(Some(folder)),
        Err(error @ FolderError::InUse { .. }) if !must_own => {
            info!(cause = %error, "other commands find the process that owns the data folder, and not this one");
            Ok(None)
        }
        Err(error) if must_own || keeps_objects => Err(error.into()),
        Err(error) => {
            warn!(cause = %error, "nothing is kept in the data folder; without it other commands cannot find this process");
            Ok(None)
        }
    }
}

/// What an object store needs beside its URL.
pub(crate) fn object_context(settings: &Settings, failures: &StorageFailures) -> ObjectContext {
    ObjectContext {
        failures: failures.clone(),
        aws: Arc::clone(&settings.aws),
        encryption: settings.s3_encryption.clone(),
    }
}

fn queue_context(settings: &Settings, context: &Context, failures: &StorageFailures) -> QueueContext {
    QueueContext {
        clock: Arc::clone(&context.clock),
        ids: Arc::clone(&context.ids),
        max_receive_count: settings.archiver.max_receive_count,
        failures: failures.clone(),
    }
}

/// The queue of a system that does not run. No system can start on its folder while this lives.
#[derive(Debug)]
pub(crate) struct StoppedQueue {
    pub(crate) queue: Arc<dyn Queue>,
    _folder: Option<DataFolder>,
}

/// What there is on a folder beside a system that can be reached.
#[derive(Debug)]
pub(crate) enum Left {
    /// No queue.
    Nothing,
    /// A process that owns the folder.
    InUse(FolderError),
    /// A queue that nobody has open.
    Queue(StoppedQueue),
}

/// Opens the queue alone, owning the folder as a system does. Makes no folder and no queue: there is nothing to see in a
/// new one, and a mistaken folder must not swallow messages.
pub(crate) async fn open_left(settings: &Settings, context: &Context) -> Result<Left, Failure> {
    let is_here = is_local(&settings.queue.url);
    if (is_here && !settings.data.is_dir()) || !queue_exists(&settings.queue.url)? {
        return Ok(Left::Nothing);
    }
    // What lies elsewhere is shared by many processes.
    let folder = match is_here.then(|| DataFolder::lock(&settings.data)).transpose() {
        Ok(folder) => folder,
        Err(error @ FolderError::InUse { .. }) => return Ok(Left::InUse(error)),
        Err(error) => return Err(error.into()),
    };
    let queue_context = queue_context(settings, context, &StorageFailures::default());
    let queue = queue(settings, queue_context).await?;
    Ok(Left::Queue(StoppedQueue { queue, _folder: folder }))
}

/// Who a service is.
pub(crate) fn identity(name: ServiceName) -> Identity {
    match name {
        ServiceName::Gateway => gateway::IDENTITY,
        ServiceName::Ingest => ingest::IDENTITY,
        ServiceName::Archiver => archiver::IDENTITY,
        ServiceName::Users => users::IDENTITY,
        ServiceName::Orders => orders::IDENTITY,
        ServiceName::Analytics => analytics::IDENTITY,
    }
}

/// Builds a service on these stores.
pub(crate) async fn build(
    name: ServiceName,
    settings: &Settings,
    stores: &Stores,
    peers: &Peers,
    context: &Context,
) -> Result<Service, Failure> {
    let service = match name {
        ServiceName::Gateway => gateway_service(behind_the_gateway(peers), context)?,
        ServiceName::Ingest => ingest::service(opened(&stores.queue)?, &api_token(settings, context).await?, context),
        ServiceName::Archiver => {
            archiver::service(settings.archiver, opened(&stores.queue)?, opened(&stores.objects)?, context)
        }
        ServiceName::Users => {
            let keys = opened(&stores.keys)?;
            let analytics = peers.place_of(ServiceName::Analytics);
            users_service((opened(&stores.users)?.clone(), analytics), keys, settings, context)?
        }
        ServiceName::Orders => {
            let users = peers
                .place_of(ServiceName::Users)
                .ok_or_else(|| Failure::usage("USER_SERVICE_URL is not set: expected where users is"))?;
            let at = (users, peers.place_of(ServiceName::Analytics));
            orders_service(opened(&stores.orders)?.clone(), at, peers.tokens(), settings, context)?
        }
        ServiceName::Analytics => {
            analytics_service(opened(&stores.events)?, peers.place_of(ServiceName::Users), peers.tokens(), context)?
        }
    };
    stores.failures.register(service.metrics());
    peers.introduce(name, &service, settings).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(if settings.uses_aws() { with_bill(service, settings, context) } else { service })
}

fn gateway_service(parts: gateway::Parts, context: &Context) -> Result<Service, Failure> {
    gateway::service(parts, context).map_err(|error| Failure::failed(error.to_string()))
}

fn users_service(
    (UserDatabase { store, outbox }, analytics): (UserDatabase, Option<ServiceUrls>),
    keys: &Arc<TokenKeys>,
    settings: &Settings,
    context: &Context,
) -> Result<Service, Failure> {
    let hashing = PoolSize::of(available_parallelism().unwrap_or(NonZeroUsize::MIN));
    let issuer = token_issuer(settings, keys, context);
    let answer_lifetime = settings.chassis.http.idempotency_lifetime;
    let keys = Arc::clone(keys);
    let authenticator = service_authenticator(settings, context)?;
    let parts = users::Parts { store, outbox, analytics, hashing, answer_lifetime, keys, issuer, authenticator };
    users::service(parts, context).map_err(|error| Failure::failed(error.to_string()))
}

fn orders_service(
    OrderDatabase { store, outbox }: OrderDatabase,
    (users, analytics): (ServiceUrls, Option<ServiceUrls>),
    tokens: Option<ServiceTokens>,
    settings: &Settings,
    context: &Context,
) -> Result<Service, Failure> {
    let answer_lifetime = settings.chassis.http.idempotency_lifetime;
    let parts = orders::Parts { store, outbox, users, analytics, tokens, answer_lifetime };
    orders::service(parts, context).map_err(|error| Failure::failed(error.to_string()))
}

fn analytics_service(
    store: &Arc<dyn EventStore>,
    users: Option<ServiceUrls>,
    tokens: Option<ServiceTokens>,
    context: &Context,
) -> Result<Service, Failure> {
    let parts = analytics::Parts { store: Arc::clone(store), users, tokens };
    analytics::service(parts, context).map_err(|error| Failure::failed(error.to_string()))
}

/// [`open`] is told which services there are.
fn opened<T>(store: &Option<T>) -> Result<&T, Failure> {
    store.as_ref().ok_or_else(|| Failure::failed("a store of the service was not opened"))
}

/// What AWS asks for is the process's, and every service of it shows the same.
fn with_bill(service: Service, settings: &Settings, context: &Context) -> Service {
    let process = Arc::clone(&context.process);
    let (requests, prices) = (settings.aws.requests().clone(), settings.aws_prices);
    requests.register(service.metrics());
    service.metrics().register(Box::new(CostCollector::new(&requests, prices)));
    service.status("cost", move || cost::shown(&Bill::of(&requests, &prices), &prices, &process))
}

/// Builds a service on nothing, to ask it about itself.
pub(crate) fn describe(name: ServiceName, settings: &Settings, context: &Context) -> Result<Service, Failure> {
    let queue: Arc<dyn Queue> =
        MemoryQueue::new(Arc::clone(&context.clock), Arc::clone(&context.ids), settings.archiver.max_receive_count);
    let objects: Arc<dyn ObjectStore> = MemoryObjects::new();
    Ok(match name {
        ServiceName::Gateway => gateway_service(gateway::Parts::default(), context)?,
        ServiceName::Ingest => {
            let nobody = ApiToken::fixed(String::new().into(), Arc::clone(&context.clock));
            ingest::service(&queue, &nobody, context)
        }
        ServiceName::Archiver => archiver::service(settings.archiver, &queue, &objects, context),
        ServiceName::Users => {
            let keys = TokenKeys::new(KeyRing { current: SigningKey::parse(&random_secret()?)?, previous: None });
            users_service((UserDatabase::in_memory(), None), &keys, settings, context)?
        }
        ServiceName::Orders => {
            let nowhere = "http://127.0.0.1".parse().map_err(|error| Failure::failed(format!("{error}")))?;
            orders_service(OrderDatabase::in_memory(), (nowhere, None), None, settings, context)?
        }
        ServiceName::Analytics => {
            let store: Arc<dyn EventStore> = MemoryEvents::new();
            analytics_service(&store, None, None, context)?
        }
    })
}
