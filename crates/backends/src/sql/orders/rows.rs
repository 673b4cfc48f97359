//! Orders as rows.

use chassis::http::Page;
use chassis::ports::Event;
use orders::model::{Item, NewOrder, Order, OrderId, OrderStatus, UserId, Version};
use orders::store::{MAX_PAGE_BYTES, OrderFilter};

use crate::sql::SqlError;
use crate::sql::answers::{of_answer, read_time};
use crate::sql::outbox::of_event;
use crate::sql::value::{Columns, Row, Value};

/// As [`CREATE_WITH`](super::statements::CREATE_WITH) takes it.
pub(super) fn of_new_with(new: &NewOrder) -> Result<Vec<Value>, SqlError> {
    let mut values = of_new(&new.order)?;
    values.extend(of_answer(new.answer.as_ref()));
    values.extend(of_event(new.event.as_ref()));
    Ok(values)
}

/// As [`CREATE`](super::statements::CREATE) takes it.
pub(super) fn of_new(order: &Order) -> Result<Vec<Value>, SqlError> {
    let items = serde_json::to_string(&order.items).map_err(|error| SqlError::Other(error.to_string()))?;
    Ok(vec![
        order.id.0.into(),
        order.user_id.as_str().into(),
        order.status.as_str().into(),
        Value::Text(Some(items)),
        order.shipping_address.as_str().into(),
        order.version.0.into(),
        order.created_at.as_microsecond().into(),
        order.updated_at.as_microsecond().into(),
    ])
}

/// As [`CHANGE`](super::statements::CHANGE) takes it.
pub(super) fn of_changed(order: &Order, known: Version, event: Option<&Event>) -> Vec<Value> {
    let mut values = vec![
        order.id.0.into(),
        order.status.as_str().into(),
        order.shipping_address.as_str().into(),
        order.version.0.into(),
        order.updated_at.as_microsecond().into(),
        known.0.into(),
    ];
    values.extend(of_event(event));
    values
}

/// As [`DELETE`](super::statements::DELETE) takes it.
pub(super) fn of_gone(id: OrderId, known: Version, event: Option<&Event>) -> Vec<Value> {
    let mut values = vec![id.0.into(), known.0.into()];
    values.extend(of_event(event));
    values
}

/// As the statement of this filter takes it.
pub(super) fn of_page(filter: &OrderFilter, page: Page) -> Vec<Value> {
    let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let mut values = vec![number(page.limit), number(page.skip), number(MAX_PAGE_BYTES.into())];
    values.extend(filter.user_id.as_ref().map(|user_id| user_id.as_str().into()));
    values.extend(filter.status.map(|status| status.as_str().into()));
    values
}

pub(super) fn read_order(row: Row) -> Result<Order, SqlError> {
    let mut columns = row.read();
    let id = columns.uuid()?;
    let missing = || SqlError::Other("an order has no items".into());
    read_order_after(OrderId(id), &mut columns)?.ok_or_else(missing)
}

/// The rest of an order whose id was read; `None` where its items were left out.
pub(super) fn read_order_after(id: OrderId, columns: &mut Columns) -> Result<Option<Order>, SqlError> {
    let user_id = UserId(columns.text()?);
    let status = columns.text()?;
    let Some(items) = columns.optional_text()? else { return Ok(None) };
    let items: Vec<Item> = serde_json::from_str(&items).map_err(|error| unknown("items", &error))?;
    Ok(Some(Order {
        id,
        user_id,
        items: items.into(),
        shipping_address: columns.text()?,
        status: status.parse::<OrderStatus>().map_err(|error| unknown("status", &error))?,
        version: Version(columns.int()?),
        created_at: read_time(columns)?,
        updated_at: read_time(columns)?,
    }))
}

fn unknown(what: &str, error: &dyn std::error::Error) -> SqlError {
    SqlError::Other(format!("the {what} of an order are not as this program knows them: {error}"))
}
