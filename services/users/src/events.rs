//! What others are told of users: nothing that is personal but their ids.

use chassis::outbox::EventRoute;
use chassis::ports::Event;
use serde_json::json;

use crate::Users;
use crate::model::UserId;

/// Analytics takes them.
pub(super) const ROUTE: EventRoute = EventRoute {
    service: "analytics-service",
    segments: &["api", "v1", "analytics", "events"],
    scope: "analytics:write",
};

impl Users {
    pub(super) fn registered(&self, id: UserId) -> Option<Event> {
        self.event("user_registration", "User registered", id)
    }

    pub(super) fn logged_in(&self, id: UserId) -> Option<Event> {
        self.event("user_login", "User logged in", id)
    }

    pub(super) fn deleted(&self, id: UserId) -> Option<Event> {
        self.event("user_deleted", "User deleted", id)
    }

    /// As analytics takes it. It may arrive late, so it says when it was.
    fn event(&self, event_type: &str, event_name: &str, id: UserId) -> Option<Event> {
        let occurred_at = self.context.now();
        self.reporter.event(id.0, event_type, || {
            json!({
                "event_type": event_type,
                "event_name": event_name,
                "user_id": id.0,
                "properties": { "occurred_at": occurred_at },
            })
        })
    }
}
