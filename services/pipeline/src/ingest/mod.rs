//! Takes messages over HTTP, checks them, and answers when the queue has them durably.

mod enqueue;
mod handlers;
mod metrics;
mod routes;

use std::sync::Arc;

use chassis::auth::ApiToken;
use chassis::health::{Check, Need};
use chassis::ports::Queue;
use chassis::service::{Context, Identity, Service};
use serde_json::json;

pub use enqueue::{WORK_TIMEOUT, enqueue};
use metrics::IngestMetrics;

/// Who ingest is.
pub const IDENTITY: Identity = Identity {
    name: "ingest",
    short_name: "ingest",
    about: "Takes messages over HTTP and publishes them to the queue.",
};

/// What the handlers work with.
#[derive(Debug)]
struct Ingest {
    queue: Arc<dyn Queue>,
    token: Arc<ApiToken>,
    metrics: IngestMetrics,
}

/// Builds the service on a queue and the token that callers must show.
#[must_use]
pub fn service(queue: &Arc<dyn Queue>, token: &Arc<ApiToken>, context: &Context) -> Service {
    let service = Service::new(IDENTITY, context).with_error_member();
    let metrics = IngestMetrics::register(service.metrics());
    let ingest = Arc::new(Ingest { queue: Arc::clone(queue), token: Arc::clone(token), metrics });
    let (queue, token) = (Arc::clone(queue), Arc::clone(token));
    service
        .welcome("endpoints", json!({ "message": "/api/message", "submit": "/submit" }))
        .routes(routes::routes().with_state(ingest))
        .check(Check::new("queue", Need::Required, move || {
            let queue = Arc::clone(&queue);
            async move { queue.ping().await.map_err(|error| error.to_string()) }
        }))
        .check(Check::judged("api-token", move || {
            let token = Arc::clone(&token);
            async move { token.check().await }
        }))
}
