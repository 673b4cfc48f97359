//! What callers see of orders.

use std::sync::Arc;

use axum::response::Response;
use chassis::error::Error;
use chassis::http::{EntityTag, Json};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{Item, Money, Order, OrderStatus};

/// An order, whole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderAnswer {
    /// A UUIDv7.
    #[schema(example = "01975409-12ab-7000-8000-000000000000")]
    id: Uuid,
    #[schema(example = "01975408-5f35-7000-8000-000000000000")]
    user_id: String,
    #[schema(value_type = Vec<Item>)]
    items: Arc<[Item]>,
    #[schema(example = "123 Main St, City, Country")]
    shipping_address: String,
    /// What all items cost, exact to the last digit.
    #[schema(value_type = f64, example = 999.99, minimum = 0)]
    total_amount: Money,
    status: OrderStatus,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Order> for OrderAnswer {
    fn from(order: Order) -> Self {
        Self {
            id: order.id.0,
            total_amount: order.total(),
            user_id: order.user_id.0,
            items: order.items,
            shipping_address: order.shipping_address,
            status: order.status,
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }
}

pub(crate) fn tag(order: &Order) -> Result<EntityTag, Error> {
    EntityTag::of_version(order.version.0)
}

/// The order with its tag.
pub(crate) fn tagged(order: Order) -> Result<Response, Error> {
    let tag = tag(&order)?;
    Ok(tag.on(Json(OrderAnswer::from(order))))
}
