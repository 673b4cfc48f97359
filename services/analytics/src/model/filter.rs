//! Which events are counted.

use chassis::error::FieldError;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use utoipa::IntoParams;

use super::EventType;
use super::draft::MOST_USER_ID_CHARS;

/// Which events are counted, as callers say it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FilterDraft {
    /// Those that came at this instant or later (RFC 3339); of a date, its beginning in UTC.
    #[param(example = "2026-01-01T00:00:00Z")]
    pub from: Option<String>,
    /// Those that came before this.
    #[param(example = "2026-02-01")]
    pub to: Option<String>,
    /// Those of this type.
    #[param(
        example = "user_login",
        pattern = "^(user_action|page_view|api_call|user_registration|user_login|user_deleted|order_created|order_updated|order_status_changed|order_deleted|custom)$"
    )]
    pub event_type: Option<String>,
    /// Those of this user.
    #[param(example = "01975408-5f35-7000-8000-000000000000")]
    pub user_id: Option<String>,
}

/// Which events are counted: those to which all of it applies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct EventFilter {
    /// The first instant.
    pub from: Option<Timestamp>,
    /// The first instant after them.
    pub to: Option<Timestamp>,
    /// Their type.
    pub event_type: Option<EventType>,
    /// Who did it.
    pub user_id: Option<String>,
}

impl FilterDraft {
    /// What is counted.
    ///
    /// # Errors
    /// Every value that is none.
    pub fn into_filter(self) -> Result<EventFilter, Vec<FieldError>> {
        let mut wrong = Vec::new();
        let mut instant = |field: &str, text: Option<String>| {
            let text = text?;
            let instant = instant(&text);
            if instant.is_none() {
                let msg = "Input should be an instant such as 2026-01-01T00:00:00Z, or a date";
                wrong.push(FieldError::new(&["query", field], msg, "datetime_parsing"));
            }
            instant
        };
        let (from, to) = (instant("from", self.from), instant("to", self.to));
        let event_type = self.event_type.and_then(|text| {
            let event_type = EventType::parse(&text);
            if event_type.is_none() {
                wrong.push(FieldError::new(&["query", "event_type"], EventType::expected(), "enum"));
            }
            event_type
        });
        let is_possible = |id: &String| id.chars().count() <= MOST_USER_ID_CHARS && !id.contains('\0');
        if self.user_id.as_ref().is_some_and(|id| !is_possible(id)) {
            let msg = format!("String should have at most {MOST_USER_ID_CHARS} characters, and no NUL");
            wrong.push(FieldError::new(&["query", "user_id"], msg, "value_error"));
        }
        match wrong.is_empty() {
            true => Ok(EventFilter { from, to, event_type, user_id: self.user_id }),
            false => Err(wrong),
        }
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    const DATE_CHARS: usize = "2026-01-01".len();
    // A time of no zone is no instant, though its date could be read.
    if text.len() == DATE_CHARS {
        return text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    }
    // A plus that was not encoded arrives as a space.
    text.parse().or_else(|_| text.replace(' ', "+").parse()).ok()
}

impl EventFilter {
    /// The first instant and the first one after, in microseconds since 1970: what a database compares with.
    #[must_use]
    pub fn bounds_micros(&self) -> (i64, i64) {
        let micros = |at: Timestamp| at.as_microsecond();
        (self.from.map_or(i64::MIN, micros), self.to.map_or(i64::MAX, micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<i64> {
        instant(text).map(Timestamp::as_second)
    }

    #[test]
    fn an_instant_has_an_offset_and_a_date_is_its_beginning_in_utc() {
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T02:00:00+02:00",
            "2026-01-01T02:00:00 02:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01",
        ] {
            assert_eq!(at(text), Some(1_767_225_600), "{text}");
        }
        for text in
            ["", "yesterday", "2026-13-01", "2026-01-01T00:00:00", "2026-01-01T23", "20260101T120000", "1767225600"]
        {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn every_wrong_part_is_named_at_once() {
        let draft = FilterDraft {
            from: Some("x".into()),
            to: Some("y".into()),
            event_type: Some("party".into()),
            user_id: Some("42".into()),
        };
        let wrong = draft.into_filter().unwrap_err();
        let places: Vec<_> = wrong.iter().map(|error| error.loc[1].as_str().unwrap()).collect();
        assert_eq!(places, ["from", "to", "event_type"]);
    }
}
