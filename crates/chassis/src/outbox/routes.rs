//! The outbox as operators see it.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tracing::info;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::Shared;
use super::metrics::age_seconds;
use crate::error::{Error, Kind};
use crate::http::{Json, Path};
use crate::ports::outbox::OutboxError;
use crate::telemetry::logs::AUDIT;

/// Entities that one answer names.
const MOST_SHOWN: usize = 100;

pub(super) fn routes(shared: Arc<Shared>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(get_outbox)).routes(routes!(discard_event)).with_state(shared)
}

/// How full an outbox is, and whether it is emptied.
#[derive(Debug, Serialize, ToSchema)]
struct OutboxAnswer {
    /// Who is told of the events; null where nobody is.
    #[schema(example = "analytics-service")]
    sink: Option<&'static str>,
    /// Events that wait, counted to 100,001 at most.
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

/// Removes an event for good, such as one that is refused for ever and holds back those behind it.
#[utoipa::path(
    delete, path = "/ops/v1/outbox/{id}", tag = "operations", params(("id" = Uuid, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "Event not found"),
        (status = 503, description = "The outbox is unreachable"),
    )
)]
async fn discard_event(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<StatusCode, Error> {
    let not_found = || Error::new(Kind::NotFound, "Event not found");
    let id = Uuid::try_parse(&id).map_err(|_| not_found())?;
    if !shared.outbox.discard(id).await? {
        return Err(not_found());
    }
    info!(target: AUDIT, action = "discard_event", event.id = %id, "event {id} was removed from the outbox");
    shared.woken.notify_one();
    Ok(StatusCode::NO_CONTENT)
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
