//! Orders and their states: people order, follow and cancel, others confirm, ship and deliver.
//!
//! [`model`] holds the rules, without I/O; [`store`] is the port behind which orders are kept. Who is a user, users is
//! asked over HTTP.

mod error;
mod events;
mod handlers;
mod memory;
mod metrics;
pub mod model;
mod routes;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod turns;
mod users;

use std::sync::Arc;
use std::time::Duration;

use chassis::auth::ServiceTokens;
use chassis::client::{NoClient, ServiceUrls};
use chassis::health::{Check, Need};
use chassis::http::Idempotency;
use chassis::outbox::{Reporter, ServiceSink};
use chassis::ports::Outbox;
use chassis::service::{Context, Identity, Service};

pub use memory::MemoryOrders;
use metrics::OrderMetrics;
use store::OrderStore;
use turns::Turns;
use users::Users;

/// Who orders is.
pub const IDENTITY: Identity = Identity {
    name: "order-service",
    short_name: "orders",
    about: "Keeps orders; people order and cancel, others confirm, ship and deliver.",
};

/// What the service stands on.
#[derive(Debug)]
pub struct Parts {
    /// Where orders are kept.
    pub store: Arc<dyn OrderStore>,
    /// Their events, which the store writes.
    pub outbox: Arc<dyn Outbox>,
    /// Where users is, which is asked who is one.
    pub users: ServiceUrls,
    /// Where analytics is, which is told of orders. Without it events are not even written.
    pub analytics: Option<ServiceUrls>,
    /// By which analytics knows orders.
    pub tokens: Option<ServiceTokens>,
    /// How long answers to requests with a key are kept.
    pub answer_lifetime: Duration,
}

/// What the handlers work with.
#[derive(Debug)]
struct Orders {
    store: Arc<dyn OrderStore>,
    users: Users,
    reporter: Reporter,
    idempotency: Idempotency,
    turns: Turns,
    context: Context,
    metrics: OrderMetrics,
}

/// Builds the service.
///
/// # Errors
/// [`NoClient`]: users or analytics cannot be called.
pub fn service(parts: Parts, context: &Context) -> Result<Service, NoClient> {
    let service = Service::new(IDENTITY, context);
    let Parts { store, outbox, users, analytics, tokens, answer_lifetime } = parts;
    let users = Users::new(users, &service)?;
    let service = service.calls(users.client());
    let users_check = users.check();
    let sink = analytics.map(|url| ServiceSink::connect(&events::ROUTE, url, tokens.as_ref(), &service)).transpose()?;
    let (reporter, relay) = chassis::outbox::connect(&service, context, outbox, sink);
    let orders = Arc::new(Orders {
        store: Arc::clone(&store),
        users,
        reporter,
        idempotency: Idempotency::new(answer_lifetime, Arc::clone(&context.clock)),
        turns: Turns::default(),
        context: context.clone(),
        metrics: OrderMetrics::register(service.metrics()),
    });
    let forgetful = Arc::clone(&store);
    let service = service.routes(routes::routes().with_state(orders)).outbox(relay).check(users_check);
    let service = service.expired_answers(move |now| {
        let store = Arc::clone(&forgetful);
        async move { store.forget_answers(now).await.map_err(|error| error.to_string()) }
    });
    Ok(service.check(Check::new("store", Need::Required, move || {
        let store = Arc::clone(&store);
        async move { store.ping().await.map_err(|error| error.to_string()) }
    })))
}
