//! `/ops/v1` of the queue: how full it is, and what was given up on.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use chassis::error::{Error, FieldError, Kind};
use chassis::http::{Json, Path, Query, RawBody};
use chassis::ports::{DeadLetter, DeadLetters, MessageId, Queue, QueueError};
use chassis::telemetry::logs::AUDIT;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::info;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Dead letters in one answer, unless fewer are asked for.
const DEFAULT_LIMIT: usize = 100;
/// Dead letters in one answer at most.
const MAX_LIMIT: usize = 1000;

/// The routes for operators.
pub(crate) fn routes(queue: &Arc<dyn Queue>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(get_queue))
        .routes(routes!(list_dead_letters, purge_dead_letters))
        .routes(routes!(get_dead_letter))
        .routes(routes!(redrive_dead_letters))
        .with_state(Arc::clone(queue))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Limit {
    /// 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Which dead letters: `all`, or `ids`.
#[derive(Debug, Deserialize, ToSchema)]
struct Wanted {
    /// Every one.
    #[serde(default)]
    all: bool,
    /// These; ids that are not there are passed over.
    #[serde(default)]
    ids: Vec<String>,
}

impl Wanted {
    fn choice(self) -> Result<DeadLetters, Error> {
        match (self.all, self.ids.is_empty()) {
            (true, true) => Ok(DeadLetters::All),
            (false, false) => Ok(DeadLetters::Ids(self.ids.into_iter().map(MessageId).collect())),
            _ => {
                let expected = "expected either `all: true` or a non-empty list `ids`";
                Err(Error::invalid(vec![FieldError::new(&["body"], expected, "choice")]))
            }
        }
    }
}

/// How many there were.
#[derive(Debug, Serialize, ToSchema)]
struct Count {
    count: u64,
}

/// How full the queue is.
#[utoipa::path(get, path = "/ops/v1/queue", tag = "operations", responses((status = 200, description = "Messages by state")))]
async fn get_queue(State(queue): State<Arc<dyn Queue>>) -> Result<Json<Value>, Error> {
    Ok(Json(json!(queue.stats().await?)))
}

/// The dead letters, the oldest death first, without their bodies.
#[utoipa::path(
    get, path = "/ops/v1/dead-letters", tag = "operations", params(Limit),
    responses((status = 200, description = "The list"), (status = 422, description = "`limit` is out of bounds"))
)]
async fn list_dead_letters(
    State(queue): State<Arc<dyn Queue>>,
    Query(Limit { limit }): Query<Limit>,
) -> Result<Json<Value>, Error> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let field = FieldError::new(&["query", "limit"], "expected a number between 1 and 1000", "range");
        return Err(Error::invalid(vec![field]));
    }
    let letters = queue.dead_letters(limit).await?;
    Ok(Json(json!({ "count": letters.len(), "dead_letters": letters })))
}

/// One dead letter, with its body.
#[utoipa::path(get, path = "/ops/v1/dead-letters/{id}", tag = "operations", params(("id" = String, Path)), responses((status = 200, description = "The letter"), (status = 404)))]
async fn get_dead_letter(
    State(queue): State<Arc<dyn Queue>>,
    Path(id): Path<String>,
) -> Result<Json<DeadLetter>, Error> {
    let letter = queue.find_dead_letter(&MessageId(id)).await?;
    letter.map(Json).ok_or_else(|| Error::new(Kind::NotFound, "Dead letter not found"))
}

/// Sends dead letters back to the queue, under their old ids and with their count at zero.
#[utoipa::path(
    post, path = "/ops/v1/dead-letters/redrive", tag = "operations", request_body = Wanted,
    responses((status = 200, body = Count), (status = 422, description = "Neither `all` nor `ids`, or both"))
)]
async fn redrive_dead_letters(
    State(queue): State<Arc<dyn Queue>>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Count>, Error> {
    let count = redrive(&*queue, wanted.choice()?).await?;
    Ok(Json(Count { count }))
}

/// Deletes dead letters for good: every one, unless the body names some.
#[utoipa::path(
    delete, path = "/ops/v1/dead-letters", tag = "operations", request_body = Option<Wanted>,
    responses((status = 200, body = Count), (status = 422, description = "Neither `all` nor `ids`, or both"))
)]
async fn purge_dead_letters(State(queue): State<Arc<dyn Queue>>, RawBody(body): RawBody) -> Result<Json<Count>, Error> {
    let wanted = if body.is_empty() {
        None
    } else {
        Json::<Option<Wanted>>::from_request(Request::new(body.into()), &()).await?.0
    };
    let which = wanted.map_or(Ok(DeadLetters::All), Wanted::choice)?;
    let count = purge(&*queue, which).await?;
    Ok(Json(Count { count }))
}

/// Sends dead letters back to the queue, and writes so to the audit log.
///
/// # Errors
/// Those of the queue.
pub async fn redrive(queue: &dyn Queue, which: DeadLetters) -> Result<u64, QueueError> {
    let count = queue.redrive(which).await?;
    info!(target: AUDIT, action = "redrive_dead_letters", count, "dead letters went back to the queue");
    Ok(count)
}

/// Deletes dead letters for good, and writes so to the audit log.
///
/// # Errors
/// Those of the queue.
pub async fn purge(queue: &dyn Queue, which: DeadLetters) -> Result<u64, QueueError> {
    let count = queue.purge_dead_letters(which).await?;
    info!(target: AUDIT, action = "purge_dead_letters", count, "dead letters were deleted");
    Ok(count)
}
