//! What others are told of orders: ids and states, neither addresses nor products.

use chassis::outbox::EventRoute;
use chassis::ports::Event;
use serde_json::{Map, Value, json};

use crate::Orders;
use crate::model::Order;

/// Analytics takes them.
pub(super) const ROUTE: EventRoute = EventRoute {
    service: "analytics-service",
    segments: &["api", "v1", "analytics", "events"],
    scope: "analytics:write",
};

impl Orders {
    pub(super) fn created(&self, order: &Order) -> Option<Event> {
        self.event("order_created", "Order created", order, Map::new())
    }

    /// One event for one change: a new address that came with a new status is told of there.
    pub(super) fn changed(&self, before: &Order, after: &Order) -> Option<Event> {
        let mut more = Map::new();
        more.insert("address_changed".into(), (before.shipping_address != after.shipping_address).into());
        if before.status == after.status {
            return self.event("order_updated", "Order updated", after, more);
        }
        more.insert("from".into(), before.status.as_str().into());
        self.event("order_status_changed", "Order status changed", after, more)
    }

    pub(super) fn deleted(&self, order: &Order) -> Option<Event> {
        self.event("order_deleted", "Order deleted", order, Map::new())
    }

    /// As analytics takes it. It may arrive late, so it says when it was.
    fn event(&self, event_type: &str, event_name: &str, order: &Order, more: Map<String, Value>) -> Option<Event> {
        let occurred_at = self.context.now();
        self.reporter.event(order.id.0, event_type, || {
            let mut properties = more;
            properties.insert("order_id".into(), order.id.to_string().into());
            properties.insert("status".into(), order.status.as_str().into());
            properties.insert("occurred_at".into(), json!(occurred_at));
            json!({
                "event_type": event_type,
                "event_name": event_name,
                "user_id": order.user_id.as_str(),
                "properties": properties,
            })
        })
    }
}
