//! Takes messages off the queue and stores each as an object, many at once, each exactly once.
//!
//! `worker` receives and starts the work, `work` stores one message, `leases` keeps what is in work hidden,
//! `deletions` removes what is stored, `store` knows whether the object store works, `pace` how fast to ask what is down,
//! `room` how much may be held. `rollup` puts many messages into one object and `retention` looks after those that have
//! expired, where that is configured.

mod deletions;
mod leases;
mod metrics;
mod pace;
mod retention;
mod rollup;
mod room;
mod store;
mod work;
mod worker;

use std::sync::{Arc, Mutex};

use chassis::health::{Check, Need};
use chassis::ports::{ObjectStore, Queue};
use chassis::service::{Context, Identity, Service};

use crate::archive::Archive;
use crate::config::{ArchiverConfig, RetentionConfig};
use crate::dead_letters;
pub use rollup::MAX_MESSAGES as MAX_ROLLED_UP;

use metrics::ArchiverMetrics;
use retention::{Janitor, RetentionMetrics};
use store::Store;
use tokio::sync::Semaphore;
use worker::Archiver;

/// Who the archiver is.
pub const IDENTITY: Identity = Identity {
    name: "archiver",
    short_name: "archiver",
    about: "Takes messages off the queue and stores each as an object.",
};

/// Builds the service: a worker that archives, one that watches how full the queue is, and the operators' routes.
#[must_use]
pub fn service(
    config: ArchiverConfig,
    queue: &Arc<dyn Queue>,
    objects: &Arc<dyn ObjectStore>,
    context: &Context,
) -> Service {
    let service = Service::new(IDENTITY, context);
    let metrics = ArchiverMetrics::register(service.metrics());
    let store = Arc::new(Store::new(Arc::clone(objects)));
    let archiver = Arc::new(Archiver {
        service: Arc::clone(service.name()),
        config,
        queue: Arc::clone(queue),
        store: Arc::clone(&store),
        context: context.clone(),
        metrics: metrics.clone(),
        places: Semaphore::new(config.concurrency),
        held_bytes: Arc::default(),
    });
    let (pinged, watched) = (Arc::clone(queue), Arc::clone(queue));
    let service = match config.retention {
        Some(retention) => with_retention(service, retention, objects, context),
        None => service,
    };
    service
        .operator_routes(dead_letters::routes(queue))
        .worker("archiver", |lifecycle| archiver.run(lifecycle))
        .worker("queue-metrics", |lifecycle| metrics::watch_queue(watched, metrics, lifecycle))
        .check(Check::new("queue", Need::Required, move || {
            let queue = Arc::clone(&pinged);
            async move { queue.ping().await.map_err(|error| error.to_string()) }
        }))
        .check(Check::new("objects", Need::Required, move || {
            let store = Arc::clone(&store);
            async move { store.check().await }
        }))
}

/// A worker of its own: nothing that is stored waits for it.
fn with_retention(
    service: Service,
    config: RetentionConfig,
    objects: &Arc<dyn ObjectStore>,
    context: &Context,
) -> Service {
    let last = Arc::new(Mutex::new(None));
    let janitor = Janitor {
        config,
        archive: Archive::new(Arc::clone(objects)),
        clock: Arc::clone(&context.clock),
        metrics: RetentionMetrics::register(service.metrics()),
        last: Arc::clone(&last),
    };
    service
        .worker("archive-retention", |lifecycle| janitor.run(lifecycle))
        .status("archive_retention", move || retention::shown(config, &last))
}
