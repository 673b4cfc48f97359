//! What an event is.

use std::fmt;

use chassis::http::RequestKey;
use jiff::Timestamp;
use uuid::Uuid;

/// Names an event for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub Uuid);

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// Somebody did something.
    UserAction,
    /// Somebody looked at a page.
    PageView,
    /// A program called another one.
    ApiCall,
    /// Somebody made an account.
    UserRegistration,
    /// Somebody logged in.
    UserLogin,
    /// An account is gone.
    UserDeleted,
    /// Somebody ordered.
    OrderCreated,
    /// An order was changed.
    OrderUpdated,
    /// An order went on, or was cancelled.
    OrderStatusChanged,
    /// An order is gone.
    OrderDeleted,
    /// Anything else.
    Custom,
}

impl EventType {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 11] = [
        Self::UserAction,
        Self::PageView,
        Self::ApiCall,
        Self::UserRegistration,
        Self::UserLogin,
        Self::UserDeleted,
        Self::OrderCreated,
        Self::OrderUpdated,
        Self::OrderStatusChanged,
        Self::OrderDeleted,
        Self::Custom,
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserAction => "user_action",
            Self::PageView => "page_view",
            Self::ApiCall => "api_call",
            Self::UserRegistration => "user_registration",
            Self::UserLogin => "user_login",
            Self::UserDeleted => "user_deleted",
            Self::OrderCreated => "order_created",
            Self::OrderUpdated => "order_updated",
            Self::OrderStatusChanged => "order_status_changed",
            Self::OrderDeleted => "order_deleted",
            Self::Custom => "custom",
        }
    }

    /// Reads one, written exactly as [`EventType::as_str`] writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event_type| event_type.as_str() == text)
    }

    /// What is expected where one is to stand, in the words of FastAPI.
    pub(super) fn expected() -> String {
        let [rest @ .., last] = Self::ALL.map(|event_type| format!("'{}'", event_type.as_str()));
        format!("Input should be {} or {last}", rest.join(", "))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// A UUIDv7.
    pub id: EventId,
    /// What kind of thing.
    pub event_type: EventType,
    /// What exactly, 1 to 100 characters.
    pub event_name: String,
    /// Who did it, as whoever reports it says; 1 to 255 characters.
    pub user_id: Option<String>,
    /// More about it: the text of a JSON object.
    pub properties: Option<String>,
    /// When it came, to the microsecond.
    pub created_at: Timestamp,
}

/// Nothing of its properties: they may be personal.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("id", &self.id).field("event_type", &self.event_type).finish_non_exhaustive()
    }
}

/// An event that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The event.
    pub event: Event,
    /// The request that brings it, where that may be sent again.
    pub key: Option<RequestKey>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_as_it_is_written_and_in_no_other_form() {
        for event_type in EventType::ALL {
            assert_eq!(EventType::parse(event_type.as_str()), Some(event_type));
        }
        for other in ["", "Custom", "custom ", "user-action", "order"] {
            assert_eq!(EventType::parse(other), None, "{other}");
        }
        assert!(EventType::expected().ends_with("'order_deleted' or 'custom'"), "{}", EventType::expected());
    }
}
