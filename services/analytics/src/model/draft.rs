//! From what callers send to an event.

use std::fmt;
use std::ops::RangeInclusive;

use chassis::error::FieldError;
use chassis::validation::Rules;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Event, EventId, EventType};

/// Characters of a name.
const NAME: RangeInclusive<usize> = 1..=100;
/// Characters of a user's id at most. Ours have 36; those of other systems may be longer.
pub(super) const MOST_USER_ID_CHARS: usize = 255;
const USER_ID: RangeInclusive<usize> = 1..=MOST_USER_ID_CHARS;

/// An event as callers describe it.
#[derive(Deserialize, ToSchema)]
pub struct EventDraft {
    /// What kind of thing happened.
    #[schema(
        example = "page_view",
        pattern = "^(user_action|page_view|api_call|user_registration|user_login|user_deleted|order_created|order_updated|order_status_changed|order_deleted|custom)$"
    )]
    pub event_type: String,
    /// What exactly.
    #[schema(example = "Start page", min_length = 1, max_length = 100, pattern = r"^[^\u0000]*$")]
    pub event_name: String,
    /// Who did it.
    #[schema(
        example = "01975408-5f35-7000-8000-000000000000",
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\u0000]*$"
    )]
    pub user_id: Option<String>,
    /// More about it.
    #[schema(value_type = Option<Object>, example = json!({ "path": "/" }))]
    pub properties: Option<Box<RawValue>>,
}

impl EventDraft {
    /// The event that came now.
    ///
    /// # Errors
    /// Every value that breaks a rule.
    pub fn into_event(self, id: EventId, now: Timestamp) -> Result<Event, Vec<FieldError>> {
        let mut rules = Rules::default();
        let event_type = EventType::parse(&self.event_type);
        if event_type.is_none() {
            rules.refuse("event_type", "enum", EventType::expected());
        }
        rules.text("event_name", &self.event_name, NAME);
        if let Some(user_id) = &self.user_id {
            rules.text("user_id", user_id, USER_ID);
        }
        if self.properties.as_ref().is_some_and(|properties| !properties.get().starts_with('{')) {
            rules.refuse("properties", "dict_type", "Input should be a valid dictionary");
        }
        rules.finish(event_type.map(|event_type| Event {
            id,
            event_type,
            event_name: self.event_name,
            user_id: self.user_id,
            properties: self.properties.map(|properties| properties.get().to_owned()),
            created_at: now,
        }))
    }
}

impl fmt::Debug for EventDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventDraft").field("event_type", &self.event_type).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn event(json: &str) -> Result<Event, Vec<(String, String)>> {
        let draft: EventDraft = serde_json::from_str(json).unwrap();
        let event = draft.into_event(EventId(Uuid::nil()), Timestamp::UNIX_EPOCH);
        event.map_err(|wrong| wrong.into_iter().map(|it| (it.loc[1].as_str().unwrap().to_owned(), it.kind)).collect())
    }

    #[test]
    fn an_event_keeps_its_properties_as_they_were_written() {
        let event =
            event(r#"{"event_type":"custom","event_name":"x","properties":{"b":1.0,"a": [1e2, "ü"]},"more":1}"#);
        let event = event.unwrap();
        assert_eq!(event.properties.as_deref(), Some(r#"{"b":1.0,"a": [1e2, "ü"]}"#));
        assert_eq!((event.event_type, event.user_id), (EventType::Custom, None));
    }

    #[test]
    fn null_is_no_user_and_no_properties() {
        let event = event(r#"{"event_type":"custom","event_name":"x","user_id":null,"properties":null}"#).unwrap();
        assert_eq!((event.user_id, event.properties), (None, None));
    }

    #[test]
    fn every_wrong_value_is_named_at_once() {
        let long = "é".repeat(256);
        let body = format!(r#"{{"event_type":"party","event_name":"","user_id":"{long}","properties":[1]}}"#);
        let wrong = event(&body).unwrap_err();
        let expected = [
            ("event_type", "enum"),
            ("event_name", "string_too_short"),
            ("user_id", "string_too_long"),
            ("properties", "dict_type"),
        ];
        assert_eq!(wrong, expected.map(|(field, kind)| (field.to_owned(), kind.to_owned())));
        let nul = event(r#"{"event_type":"custom","event_name":"a\u0000b"}"#).unwrap_err();
        assert_eq!(nul, [("event_name".to_owned(), "value_error".to_owned())]);
    }
}
