//! The one file that knows every service and every backend: configuration becomes stores, stores become services.

use std::sync::Arc;

use backends::local::{DataFolder, generated_secret};
use backends::{QueueContext, open_objects, open_queue};
use chassis::auth::ApiToken;
use chassis::config::SecretSources;
use chassis::ports::{MemoryObjects, MemoryQueue, ObjectStore, Queue};
use chassis::service::{Context, Identity, Service};
use pipeline::{archiver, ingest};

use crate::cli::ServiceName;
use crate::failure::Failure;
use crate::settings::Settings;

/// The crates that follow `LOG_LEVEL`; all others follow `LOG_FILTER`.
pub(crate) const OWN_CRATES: &[&str] = &["backends", "chassis", "keelson", "pipeline"];

/// The name of the generated API token under `DIR/secrets`.
pub(crate) const API_TOKEN_FILE: &str = "api_token";

/// The sources that references to secrets may name.
pub(crate) fn secret_sources() -> SecretSources {
    backends::secret_sources()
        .into_iter()
        .fold(SecretSources::default(), |all, (scheme, source)| all.with(scheme, source))
}

/// What the services of this process stand on. The folder's lock lives as long as this.
#[derive(Debug)]
pub(crate) struct Stores {
    queue: Arc<dyn Queue>,
    objects: Arc<dyn ObjectStore>,
    api_token: Arc<ApiToken>,
    _folder: DataFolder,
}

/// Opens the stores that the settings name.
pub(crate) async fn open(settings: &Settings, context: &Context) -> Result<Stores, Failure> {
    let folder = DataFolder::lock(&settings.data)?;
    let queue_context = QueueContext {
        clock: Arc::clone(&context.clock),
        ids: Arc::clone(&context.ids),
        max_receive_count: settings.archiver.max_receive_count,
    };
    Ok(Stores {
        queue: open_queue(&settings.queue_url, queue_context).await?,
        objects: open_objects(&settings.objects_url).await?,
        api_token: api_token(settings, context)?,
        _folder: folder,
    })
}

fn api_token(settings: &Settings, context: &Context) -> Result<Arc<ApiToken>, Failure> {
    let clock = Arc::clone(&context.clock);
    let Some(token) = &settings.ingest.api_token else {
        return Ok(ApiToken::fixed(generated_secret(&settings.data, API_TOKEN_FILE)?, clock));
    };
    Ok(match secret_sources().reference(token) {
        Some((source, reference)) => ApiToken::fetched(source, reference, clock),
        None => ApiToken::fixed(token.clone(), clock),
    })
}

/// Who a service is.
pub(crate) fn identity(name: ServiceName) -> Identity {
    match name {
        ServiceName::Ingest => ingest::IDENTITY,
        ServiceName::Archiver => archiver::IDENTITY,
    }
}

/// Builds a service on these stores.
pub(crate) fn build(name: ServiceName, settings: &Settings, stores: &Stores, context: &Context) -> Service {
    match name {
        ServiceName::Ingest => ingest::service(&stores.queue, &stores.api_token, context),
        ServiceName::Archiver => archiver::service(settings.archiver, &stores.queue, &stores.objects, context),
    }
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
