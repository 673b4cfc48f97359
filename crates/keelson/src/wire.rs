//! The one file that knows every service and every backend: configuration becomes stores, stores become services.

use std::sync::Arc;

use backends::aws::{Aws, Bill, CostCollector};
use backends::local::{DataFolder, FolderError, generated_secret};
use backends::{ObjectContext, QueueContext, is_local, open_objects, open_queue, queue_exists};
use chassis::auth::ApiToken;
use chassis::config::{SecretSources, check_secret};
use chassis::ports::{MemoryObjects, MemoryQueue, ObjectStore, Queue, SecretError, SecretRef, SecretSource};
use chassis::service::{Context, Identity, Service};
use chassis::telemetry::storage::StorageFailures;
use pipeline::{archiver, ingest};
use secrecy::{ExposeSecret, SecretString};
use tracing::{info, warn};

use crate::cli::ServiceName;
use crate::commands::cost;
use crate::failure::Failure;
use crate::settings::Settings;

/// The crates that follow `LOG_LEVEL`; all others follow `LOG_FILTER`.
pub(crate) const OWN_CRATES: &[&str] = &["backends", "chassis", "keelson", "pipeline"];

/// The name of the generated API token under `DIR/secrets`.
pub(crate) const API_TOKEN_FILE: &str = "api_token";

/// The sources that references to secrets may name.
pub(crate) fn secret_sources(aws: &Arc<Aws>) -> SecretSources {
    backends::secret_sources(aws)
        .into_iter()
        .fold(SecretSources::default(), |all, (scheme, source)| all.with(scheme, source))
}

/// What the services of this process stand on. The folder's lock lives as long as this.
#[derive(Debug)]
pub(crate) struct Stores {
    queue: Arc<dyn Queue>,
    /// `None` where no service of the process stores objects.
    objects: Option<Arc<dyn ObjectStore>>,
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
    let folder = claim_folder(settings, services, stores_objects)?;
    let failures = StorageFailures::default();
    let objects = match stores_objects {
        true => Some(open_objects(&settings.objects_url, object_context(settings, &failures)).await?),
        false => None,
    };
    Ok(Stores { queue: queue(settings, queue_context(settings, context, &failures)).await?, objects, failures, folder })
}

async fn queue(settings: &Settings, context: QueueContext) -> Result<Arc<dyn Queue>, Failure> {
    let url = queue_url(settings).await?;
    Ok(open_queue(url.expose_secret(), &settings.aws, context).await?)
}

/// The whole URL of the queue, with a password that may have to be fetched.
pub(crate) async fn queue_url(settings: &Settings) -> Result<SecretString, Failure> {
    let Some(place) = &settings.queue_place else { return Ok(settings.queue_url.as_str().into()) };
    let fetched = match place.password.as_ref().and_then(|it| secret_sources(&settings.aws).reference(it)) {
        Some((source, reference)) => match source.fetch(&reference.name).await {
            Ok(password) => Some(password),
            Err(error @ SecretError::Unavailable(_)) => return Err(Failure::unavailable(error.to_string())),
            Err(error) => return Err(Failure::usage(format!("POSTGRES_PASSWORD={reference}: {error}"))),
        },
        None => None,
    };
    place.url(fetched.as_ref().or(place.password.as_ref()))
}

/// One process owns the folder: the one whose queue lies in it, or whose token is made there. Objects in it may be of
/// many. A process that keeps everything elsewhere runs without a folder, such as in a container whose root cannot be
/// written: then other commands cannot find it, and that is all.
fn claim_folder(
    settings: &Settings,
    services: &[ServiceName],
    stores_objects: bool,
) -> Result<Option<DataFolder>, Failure> {
    let generates_token = services.contains(&ServiceName::Ingest) && settings.ingest.api_token.is_none();
    let must_own = generates_token || is_local(&settings.queue_url);
    let keeps_objects = stores_objects && is_local(&settings.objects_url);
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
    let is_here = is_local(&settings.queue_url);
    if (is_here && !settings.data.is_dir()) || !queue_exists(&settings.queue_url)? {
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

/// The token that ingest asks for: the one that is set, one that is fetched, or the generated one.
async fn api_token(settings: &Settings, context: &Context) -> Result<Arc<ApiToken>, Failure> {
    let clock = Arc::clone(&context.clock);
    let Some(token) = &settings.ingest.api_token else {
        return Ok(ApiToken::fixed(generated_secret(&settings.data, API_TOKEN_FILE)?, clock));
    };
    let Some((source, reference)) = secret_sources(&settings.aws).reference(token) else {
        return Ok(ApiToken::fixed(token.clone(), clock));
    };
    if settings.chassis.production {
        refuse_weak(&*source, &reference).await?;
    }
    Ok(ApiToken::fetched(source, reference, clock))
}

/// Production starts with no weak and no missing secret; a source that is down may come back.
async fn refuse_weak(source: &dyn SecretSource, reference: &SecretRef) -> Result<(), Failure> {
    match source.fetch(&reference.name).await {
        Ok(secret) => match check_secret(&secret) {
            Some(expected) => Err(Failure::usage(format!("API_TOKEN={reference}: expected {expected}"))),
            None => Ok(()),
        },
        Err(error @ SecretError::Unavailable(_)) => {
            warn!(cause = %error, "the API token cannot be checked yet");
            Ok(())
        }
        Err(error) => Err(Failure::usage(format!("API_TOKEN={reference}: {error}"))),
    }
}

/// Who a service is.
pub(crate) fn identity(name: ServiceName) -> Identity {
    match name {
        ServiceName::Ingest => ingest::IDENTITY,
        ServiceName::Archiver => archiver::IDENTITY,
    }
}

/// Builds a service on these stores.
pub(crate) async fn build(
    name: ServiceName,
    settings: &Settings,
    stores: &Stores,
    context: &Context,
) -> Result<Service, Failure> {
    let service = match name {
        ServiceName::Ingest => ingest::service(&stores.queue, &api_token(settings, context).await?, context),
        ServiceName::Archiver => {
            let objects = stores.objects.as_ref().ok_or_else(|| Failure::failed("no object store was opened"))?;
            archiver::service(settings.archiver, &stores.queue, objects, context)
        }
    };
    stores.failures.register(service.metrics());
    Ok(if settings.uses_aws() { with_bill(service, settings, context) } else { service })
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
pub(crate) fn describe(name: ServiceName, settings: &Settings, context: &Context) -> Service {
    let queue: Arc<dyn Queue> =
        MemoryQueue::new(Arc::clone(&context.clock), Arc::clone(&context.ids), settings.archiver.max_receive_count);
    let objects: Arc<dyn ObjectStore> = MemoryObjects::new();
    match name {
        ServiceName::Ingest => {
            let nobody = ApiToken::fixed(String::new().into(), Arc::clone(&context.clock));
            ingest::service(&queue, &nobody, context)
        }
        ServiceName::Archiver => archiver::service(settings.archiver, &queue, &objects, context),
    }
}
