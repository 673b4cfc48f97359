//! All URLs of orders, and who may call them.

use std::sync::Arc;

use chassis::auth::Access;
use chassis::http::Routes;
use utoipa_axum::routes;

use super::Orders;
use super::handlers::changes::{__path_delete_order, __path_update_order, delete_order, update_order};
use super::handlers::orders::{
    __path_create_order, __path_get_order, __path_list_orders, __path_list_orders_of_user, create_order, get_order,
    list_orders, list_orders_of_user,
};

/// Sees orders other than one's own.
pub(super) const READ: &str = "orders:read";
/// Makes and changes them, in every way, and deletes them.
pub(super) const WRITE: &str = "orders:write";

pub(super) fn routes() -> Routes<Arc<Orders>> {
    Routes::new()
        .route(Access::Own(WRITE), routes!(create_order))
        .route(Access::Own(READ), routes!(list_orders))
        .route(Access::Own(READ), routes!(list_orders_of_user))
        .route(Access::Own(READ), routes!(get_order))
        .route(Access::Own(WRITE), routes!(update_order))
        .route(Access::Scope(WRITE), routes!(delete_order))
}
