//! Changing and deleting orders.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chassis::auth::Caller;
use chassis::error::{Error, Kind};
use chassis::http::{Conditions, Json, Path, changed_meanwhile, lacks};
use http::StatusCode;

use super::answers::{OrderAnswer, tag, tagged};
use crate::Orders;
use crate::error::not_found;
use crate::model::{ChangesDraft, Order, OrderChanges, OrderStatus};
use crate::routes::WRITE;
use crate::store::Written;

/// How often a change is tried that other processes got in front of.
const ATTEMPTS: usize = 8;

/// Changes the status of an order, its shipping address, or both.
///
/// pending → confirmed → shipped → delivered, and cancelled before it is shipped; the same status is no change. Items and
/// user never change.
#[utoipa::path(
    put, path = "/api/v1/orders/{order_id}", tag = "orders", request_body = ChangesDraft,
    params(("order_id" = String, Path), ("If-Match" = Option<String>, Header, nullable = false, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#)),
    responses(
        (status = 200, body = OrderAnswer, headers(("ETag" = String, description = "Of the new state"))),
        (status = 400, description = "Invalid status"),
        (status = 404, description = "Order not found"),
        (status = 409, description = "The order stands where this cannot change any more, or not yet"),
        (status = 412, description = "Changed meanwhile"),
        (status = 422, description = "A value breaks a rule, or never changes"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn update_order(
    State(orders): State<Arc<Orders>>,
    caller: Caller,
    Path(order_id): Path<String>,
    conditions: Conditions,
    Json(draft): Json<ChangesDraft>,
) -> Result<Response, Error> {
    let changes = checked(draft)?;
    let _turn = orders.turns.of(&order_id).await;
    for _ in 0..ATTEMPTS {
        let order = orders.find(&order_id, &caller, WRITE).await?;
        // One's own order can be cancelled; the rest of its way is the matter of others.
        if changes.status.is_some_and(|status| status != OrderStatus::Cancelled) && !caller.has(WRITE) {
            return Err(lacks(WRITE));
        }
        conditions.check_write(&tag(&order)?)?;
        let Some(changed) = order.changed(&changes, orders.context.now())? else { return tagged(order) };
        match orders.store.change(&changed, order.version, orders.changed(&order, &changed)).await? {
            Written::Done => return orders.done(&order, changed),
            Written::Missing => return Err(not_found()),
            // The state that the caller named is gone; without one, the change is made to what is there now.
            Written::Changed if conditions.names_states() => return Err(changed_meanwhile()),
            Written::Changed => {}
        }
    }
    Err(too_many())
}

fn too_many() -> Error {
    let text = "Too many changes of this order at once";
    Error::new(Kind::Unavailable, text).caused_by("every attempt lost its race against another process")
}

fn checked(draft: ChangesDraft) -> Result<OrderChanges, Error> {
    draft.check().map_err(Error::invalid)?;
    let ChangesDraft { status, shipping_address, .. } = draft;
    let status = status.map(|status| status.parse::<OrderStatus>()).transpose()?;
    Ok(OrderChanges { status, shipping_address })
}

/// Deletes an order.
#[utoipa::path(
    delete, path = "/api/v1/orders/{order_id}", tag = "orders",
    params(("order_id" = String, Path), ("If-Match" = Option<String>, Header, nullable = false, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "Order not found"),
        (status = 412, description = "Changed meanwhile"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn delete_order(
    State(orders): State<Arc<Orders>>,
    caller: Caller,
    Path(order_id): Path<String>,
    conditions: Conditions,
) -> Result<StatusCode, Error> {
    let _turn = orders.turns.of(&order_id).await;
    for _ in 0..ATTEMPTS {
        let order = orders.find(&order_id, &caller, WRITE).await?;
        conditions.check_write(&tag(&order)?)?;
        match orders.store.delete(order.id, order.version, orders.deleted(&order)).await? {
            Written::Done => {
                orders.metrics.deleted.inc();
                orders.reporter.written();
                return Ok(StatusCode::NO_CONTENT);
            }
            Written::Missing => return Err(not_found()),
            Written::Changed if conditions.names_states() => return Err(changed_meanwhile()),
            // What is reported is what was deleted.
            Written::Changed => {}
        }
    }
    Err(too_many())
}

impl Orders {
    fn done(&self, before: &Order, after: Order) -> Result<Response, Error> {
        if before.status != after.status {
            self.metrics.became(after.status);
        }
        self.reporter.written();
        tagged(after)
    }
}
