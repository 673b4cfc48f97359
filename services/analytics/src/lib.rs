//! What happened in the system: events, each counted once, and statistics of them.
//!
//! [`model`] holds the rules, without I/O; [`store`] is the port behind which events are kept.

mod error;
mod handlers;
mod memory;
mod metrics;
pub mod model;
mod routes;
mod statistics;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod users;

use std::sync::Arc;

use chassis::auth::ServiceTokens;
use chassis::client::{NoClient, ServiceUrls};
use chassis::health::{Check, Need};
use chassis::service::{Context, Identity, Service};

pub use memory::MemoryEvents;
use metrics::AnalyticsMetrics;
use statistics::Statistics;
use store::EventStore;
use users::UserStatistics;

/// Who analytics is.
pub const IDENTITY: Identity =
    Identity { name: "analytics-service", short_name: "analytics", about: "Takes events, and counts them." };

/// What the service stands on.
#[derive(Debug)]
pub struct Parts {
    /// Where events are kept.
    pub store: Arc<dyn EventStore>,
    /// Where users is, which is asked how many there are.
    pub users: Option<ServiceUrls>,
    /// What analytics shows users.
    pub tokens: Option<ServiceTokens>,
}

/// What the handlers work with.
#[derive(Debug)]
struct Analytics {
    store: Arc<dyn EventStore>,
    statistics: Statistics,
    users: UserStatistics,
    context: Context,
    metrics: AnalyticsMetrics,
}

/// Builds the service.
///
/// # Errors
/// When users cannot be called.
pub fn service(parts: Parts, context: &Context) -> Result<Service, NoClient> {
    let service = Service::new(IDENTITY, context);
    let Parts { store, users, tokens } = parts;
    let users = UserStatistics::new(users, tokens.as_ref(), &service)?;
    let service = users.client().into_iter().fold(service, Service::calls);
    let check = users.check();
    let analytics = Arc::new(Analytics {
        store: Arc::clone(&store),
        statistics: Statistics::new(Arc::clone(&store)),
        users,
        context: context.clone(),
        metrics: AnalyticsMetrics::register(service.metrics()),
    });
    let service = service.routes(routes::routes().with_state(analytics));
    let service = check.into_iter().fold(service, Service::check);
    Ok(service.check(Check::new("store", Need::Required, move || {
        let store = Arc::clone(&store);
        async move { store.ping().await.map_err(|error| error.to_string()) }
    })))
}
