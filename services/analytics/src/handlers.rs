//! Events in, statistics out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::error::Error;
use chassis::http::{Envelope, Json, Keyed, Query};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Analytics;
use crate::model::{EventDraft, EventId, FilterDraft, NewEvent};
use crate::store::Recorded;
use crate::users::UserCounts;

/// The event that was added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Created {
    event_id: Uuid,
    #[schema(example = "page_view")]
    event_type: String,
}

/// How much happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    total_events: u64,
    /// Types that never occurred are not in it.
    #[schema(example = json!({ "user_login": 2 }))]
    events_by_type: BTreeMap<String, u64>,
    /// `null` while users does not answer.
    #[schema(required = true)]
    user_stats: Option<UserCounts>,
    /// What is missing, and why.
    warnings: Vec<&'static str>,
}

/// Adds an event.
#[utoipa::path(
    post, path = "/api/v1/analytics/events", tag = "events", request_body = EventDraft,
    params(("Idempotency-Key" = Option<String>, Header, nullable = false, pattern = "^[!-~]{1,255}$", description = "Sent again with the same key, the request is answered as before and the event counted once, however much later")),
    responses(
        (status = 200, body = Envelope<Created>),
        (status = 422, description = "A value breaks a rule, or the key was used with another body"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn create_event(
    State(analytics): State<Arc<Analytics>>,
    Keyed { key, body: draft }: Keyed<EventDraft>,
) -> Result<Response, Error> {
    let id = EventId(analytics.context.ids.uuid());
    let event = draft.into_event(id, analytics.context.now()).map_err(Error::invalid)?;
    let event_type = event.event_type;
    match (analytics.store.record(NewEvent { event, key: key.clone() }).await?, key) {
        (Recorded::Before { id, event_type, fingerprint }, Some(key)) => {
            let again = key.answer_as_before(&fingerprint, created(id, event_type))?;
            analytics.metrics.repeated.inc();
            Ok(again)
        }
        _ => {
            analytics.metrics.created(event_type);
            Ok(created(id, event_type.to_string()))
        }
    }
}

fn created(id: EventId, event_type: String) -> Response {
    let data = Created { event_id: id.0, event_type };
    Envelope::of("Event created successfully", data).into_response()
}

/// Counts events by their types, and users.
#[utoipa::path(
    get, path = "/api/v1/analytics/stats", tag = "events", params(FilterDraft),
    responses(
        (status = 200, body = Envelope<Stats>),
        (status = 422, description = "A filter is none"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn get_stats(
    State(analytics): State<Arc<Analytics>>,
    Query(draft): Query<FilterDraft>,
) -> Result<Json<Envelope<Stats>>, Error> {
    let filter = draft.into_filter().map_err(Error::invalid)?;
    let (counts, users) = tokio::join!(analytics.statistics.count(filter), analytics.users.count());
    let counts = counts?;
    let stats = Stats {
        total_events: counts.values().sum(),
        events_by_type: counts,
        warnings: users.as_ref().err().copied().into_iter().collect(),
        user_stats: users.ok(),
    };
    Ok(Envelope::of("Statistics retrieved successfully", stats))
}
