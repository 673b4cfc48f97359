//! Making orders and looking at them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chassis::auth::Caller;
use chassis::error::Error;
use chassis::http::{Conditions, Json, Keyed, Paging, Path, Query, ShownToken};
use http::{StatusCode, header};
use serde::Deserialize;

use super::answers::{OrderAnswer, tag, tagged};
use crate::Orders;
use crate::error::{not_found, user_not_found};
use crate::model::{NewOrder, Order, OrderDraft, OrderId, OrderStatus, UserId};
use crate::routes::{READ, WRITE};
use crate::store::{Created, OrderFilter, OrderList};

/// Orders for a user.
#[utoipa::path(
    post, path = "/api/v1/orders", tag = "orders", request_body = OrderDraft,
    params(("Idempotency-Key" = Option<String>, Header, nullable = false, pattern = "^[!-~]{1,255}$", description = "Sent again with the same key, the request is answered as before and not done again")),
    responses(
        (status = 201, body = OrderAnswer, headers(
            ("ETag" = String, description = "For `If-Match`"),
            ("Location" = String, description = "The path of the order"),
        )),
        (status = 404, description = "User not found"),
        (status = 409, description = "A request with this key is being worked on"),
        (status = 422, description = "A value breaks a rule"),
        (status = 503, description = "The store is unreachable, or users is"),
    )
)]
pub(crate) async fn create_order(
    State(orders): State<Arc<Orders>>,
    caller: Caller,
    ShownToken(token): ShownToken,
    Keyed { key, body: draft }: Keyed<OrderDraft>,
) -> Result<Response, Error> {
    let id = OrderId(orders.context.ids.uuid());
    let order = draft.into_order(id, orders.context.now()).map_err(Error::invalid)?;
    if !caller.reaches(WRITE, order.user_id.as_str()) {
        return Err(user_not_found());
    }
    let _turn = orders.idempotency.begin(key.as_ref())?;
    // What was answered before is answered again, whatever became of the user.
    if let Some(key) = &key
        && let Some(before) = orders.store.find_answer(key).await?
    {
        return before.replay(key);
    }
    orders.users.expect(&order.user_id, token.as_ref()).await?;
    let location = [(header::LOCATION, format!("/api/v1/orders/{id}"))];
    let answer = (StatusCode::CREATED, location, tagged(order.clone())?).into_response();
    let (kept, answer) = orders.idempotency.keep(key.clone(), answer).await?;
    let event = orders.created(&order);
    match (orders.store.create(NewOrder { order, answer: kept, event }).await?, key) {
        (Created::Before(before), Some(key)) => before.replay(&key),
        _ => {
            orders.metrics.created.inc();
            orders.reporter.written();
            Ok(answer)
        }
    }
}

/// Which orders a caller asks for.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    user_id: Option<String>,
    status: Option<String>,
}

/// Lists orders, the oldest first.
///
/// Who has not the scope for others sees the own ones alone.
#[utoipa::path(
    get, path = "/api/v1/orders", tag = "orders",
    params(
        ("skip" = Option<u64>, Query, description = "Orders before the page, 0 by default"),
        ("limit" = Option<u64>, Query, maximum = 1000, description = "Orders of the page at most, 100 by default"),
        ("user_id" = Option<String>, Query, description = "Those of this user alone"),
        ("status" = Option<OrderStatus>, Query, description = "Those that stand there alone"),
    ),
    responses(
        (status = 200, body = [OrderAnswer], headers(
            ("X-Total-Count" = u64, description = "Orders in all, of those that were asked for"),
            ("Link" = String, description = "The other pages (RFC 8288)"),
        )),
        (status = 400, description = "Invalid status"),
        (status = 422, description = "`skip` or `limit` is out of bounds"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn list_orders(
    State(orders): State<Arc<Orders>>,
    caller: Caller,
    paging: Paging,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let status = asked.status.map(|status| status.parse::<OrderStatus>()).transpose()?;
    let asked = asked.user_id.map(UserId);
    let own = (!caller.has(READ)).then(|| UserId(caller.subject().unwrap_or_default().to_owned()));
    let is_of_another = own.is_some() && asked.is_some() && own != asked;
    let filter = OrderFilter { user_id: own.or(asked), status };
    if is_of_another {
        return Ok(paging.answer::<OrderAnswer>(&[], 0));
    }
    orders.list(filter, &paging).await
}

/// Lists the orders of a user, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/orders/user/{user_id}", tag = "orders",
    params(
        ("user_id" = String, Path),
        ("skip" = Option<u64>, Query, description = "Orders before the page, 0 by default"),
        ("limit" = Option<u64>, Query, maximum = 1000, description = "Orders of the page at most, 100 by default"),
    ),
    responses(
        (status = 200, body = [OrderAnswer], description = "Empty for somebody who has not ordered yet", headers(
            ("X-Total-Count" = u64, description = "Orders of the user in all"),
            ("Link" = String, description = "The other pages (RFC 8288)"),
        )),
        (status = 404, description = "User not found: it is somebody else"),
        (status = 422, description = "`skip` or `limit` is out of bounds"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn list_orders_of_user(
    State(orders): State<Arc<Orders>>,
    caller: Caller,
    Path(user_id): Path<String>,
    paging: Paging,
) -> Result<Response, Error> {
    if !caller.reaches(READ, &user_id) {
        return Err(user_not_found());
    }
    orders.list(OrderFilter { user_id: Some(UserId(user_id)), status: None }, &paging).await
}

/// Reads an order.
#[utoipa::path(
    get, path = "/api/v1/orders/{order_id}", tag = "orders",
    params(("order_id" = String, Path), ("If-None-Match" = Option<String>, Header, nullable = false, pattern = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#)),
    responses(
        (status = 200, body = OrderAnswer, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 304, description = "The caller has it already"),
        (status = 404, description = "Order not found"),
        (status = 503, description = "The store is unreachable"),
    )
)]
pub(crate) async fn get_order(
    State(orders): State<Arc<Orders>>,
    caller: Caller,
    Path(order_id): Path<String>,
    conditions: Conditions,
) -> Result<Response, Error> {
    let order = orders.find(&order_id, &caller, READ).await?;
    Ok(conditions.answer(&tag(&order)?, Json(OrderAnswer::from(order))))
}

impl Orders {
    async fn list(&self, filter: OrderFilter, paging: &Paging) -> Result<Response, Error> {
        let is_possible = filter.user_id.as_ref().is_none_or(UserId::is_possible);
        let list = if is_possible { self.store.list(&filter, paging.page).await? } else { OrderList::default() };
        let answers: Vec<OrderAnswer> = list.orders.into_iter().map(OrderAnswer::from).collect();
        Ok(paging.answer(&answers, list.total))
    }

    /// The order of a path, if the caller may know of it. Whatever stands there that is no id is just an unknown order.
    pub(super) async fn find(&self, order_id: &str, caller: &Caller, scope: &str) -> Result<Order, Error> {
        let id: OrderId = order_id.parse().map_err(|()| not_found())?;
        let order = self.store.find(id).await?.ok_or_else(not_found)?;
        if caller.reaches(scope, order.user_id.as_str()) { Ok(order) } else { Err(not_found()) }
    }
}
