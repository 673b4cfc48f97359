//! The outbox as operators see it.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Shared;
use super::metrics::age_seconds;
use crate::error::{Error, Kind};
use crate::http::Json;
use crate::ports::outbox::OutboxError;

/// Entities that one answer names.
const MOST_SHOWN: usize = 100;

pub(super) fn routes(shared: Arc<Shared>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(get_outbox)).with_state(shared)
}

/// How full an outbox is, and whether it is emptied.
#[derive(Debug, Serialize, ToSchema)]
struct OutboxAnswer {
    /// Who is told of the events; null where nobody is.
    #[schema(example = "analytics-service")]
    sink: Option<&'static str>,
    /// Events that wait.
    events: u64,
    /// When the oldest of them occurred.
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_at: Option<Timestamp>,
    oldest_age_seconds: Option<f64>,
    /// Whether this process delivers; of many, one does.
    leads: bool,
    /// Why nothing is delivered at present.
    trouble: Option<String>,
    /// Events that were refused, and hold back those of their entity; a hundred at most.
    refused: Vec<RefusedAnswer>,
}

/// An event that was refused.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedAnswer {
    id: Uuid,
    #[schema(example = "user_login")]
    event_type: String,
    entity: Uuid,
    attempts: u64,
    reason: String,
    /// Until it is tried again.
    retry_in_seconds: f64,
}

/// The events that wait to be delivered.
#[utoipa::path(
    get, path = "/ops/v1/outbox", tag = "operations",
    responses((status = 200, body = OutboxAnswer), (status = 503, description = "The outbox is unreachable"))
)]
async fn get_outbox(State(shared): State<Arc<Shared>>) -> Result<Json<OutboxAnswer>, Error> {
    let depth = shared.outbox.depth().await?;
    let now = shared.context.clock.now();
    shared.metrics.measured(depth, now);
    Ok(Json(shared.with_state(|state| OutboxAnswer {
        sink: shared.sink.as_ref().map(|sink| sink.name()),
        events: depth.events,
        oldest_at: depth.oldest,
        oldest_age_seconds: age_seconds(depth, now),
        leads: state.leads,
        trouble: state.trouble.clone(),
        refused: refused(&state.held),
    })))
}

/// Those that were tried most often.
fn refused(held: &super::Held) -> Vec<RefusedAnswer> {
    let now = Instant::now();
    let mut refused: Vec<_> = held.iter().collect();
    refused.sort_by_key(|(_, refused)| std::cmp::Reverse(refused.attempts));
    refused.truncate(MOST_SHOWN);
    let answer = |(entity, refused): (&Uuid, &super::held::Refused)| RefusedAnswer {
        id: refused.event,
        event_type: refused.event_type.clone(),
        entity: *entity,
        attempts: refused.attempts,
        reason: refused.reason.clone(),
        retry_in_seconds: refused.retry_at.saturating_duration_since(now).as_secs_f64(),
    };
    refused.into_iter().map(answer).collect()
}

impl From<OutboxError> for Error {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Unavailable(_) => Self::new(Kind::Unavailable, "Outbox unavailable").caused_by(error),
            OutboxError::Other(_) => Self::internal(error),
        }
    }
}
