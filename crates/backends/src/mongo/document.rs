//! Events as documents.

use analytics::model::{Event, NewEvent};
use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::Value;

/// Levels of nesting of the properties; the server takes 100 in all.
/// <https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-Nested-Depth-for-BSON-Documents>
const MOST_LEVELS: usize = 90;

/// Bytes of the properties; the server takes 16 MiB in all. As text they are no larger than they came.
const MOST_BYTES: usize = 12 << 20;

/// The document of an event: its properties as the server's users can look into them, and not to the letter. The instant is there twice: as people and the server's own tools read it, to the millisecond,
/// and as it is compared.
pub(super) fn of_event(NewEvent { event, key }: NewEvent) -> Document {
    let Event { id, event_type, event_name, user_id, properties, created_at } = event;
    let mut document = doc! {
        "_id": id.0.to_string(),
        "event_type": event_type.as_str(),
        "event_name": event_name,
        "created_at": DateTime::from_millis(created_at.as_millisecond()),
        "created_micros": created_at.as_microsecond(),
    };
    if let Some(user_id) = user_id {
        document.insert("user_id", user_id);
    }
    if let Some(text) = properties {
        let properties = of_text(&text, MOST_LEVELS);
        let fits = properties
            .as_document()
            .is_none_or(|properties| properties.to_vec().is_ok_and(|it| it.len() <= MOST_BYTES));
        document.insert("properties", if fits { properties } else { text.into() });
    }
    if let Some(key) = key {
        document.insert("request_id", key.id);
        document.insert("fingerprint", key.fingerprint);
    }
    document
}

/// The value of a JSON text; the text itself where JSON can be read no deeper.
fn of_text(text: &str, levels: usize) -> Bson {
    serde_json::from_str(text).map_or_else(|_| text.into(), |value| of_value(value, levels))
}

/// What is nested deeper than `levels` stays text, so that no event is refused for its form.
fn of_value(value: Value, levels: usize) -> Bson {
    if levels == 0 && (value.is_object() || value.is_array()) {
        return value.to_string().into();
    }
    match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => value.into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().map_or(Bson::Null, Bson::Double),
        },
        Value::String(text) => text.into(),
        Value::Array(values) => values.into_iter().map(|value| of_value(value, levels - 1)).collect::<Vec<_>>().into(),
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (of_name(name), of_value(value, levels - 1)));
            members.collect::<Document>().into()
        }
    }
}

/// Names of BSON end with a NUL, so none can hold one; its picture stands for it.
fn of_name(name: String) -> String {
    if name.contains('\0') { name.replace('\0', "\u{2400}") } else { name }
}

#[cfg(test)]
mod tests {
    use analytics::model::{EventId, EventType};
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn properties_become_what_the_server_can_look_into() {
        let properties =
            of_text(r#"{"b":1.0,"a":[1,-2,true,null,"ü"],"c":{"$d.e":18446744073709551615}}"#, MOST_LEVELS);
        let expected =
            doc! { "b": 1.0, "a": [1_i64, -2_i64, true, null, "ü"], "c": { "$d.e": 18_446_744_073_709_551_615_f64 } };
        assert_eq!(properties, Bson::Document(expected));
    }

    /// Levels below this one.
    fn depth(value: &Bson) -> usize {
        match value {
            Bson::Document(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            Bson::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    #[test]
    fn whatever_is_sent_can_be_written() {
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        for (text, expected) in [(deep(89), 89), (deep(90), 90), (deep(91), 90), (deep(127), 90), (deep(500), 0)] {
            assert_eq!(depth(&of_text(&text, MOST_LEVELS)), expected);
        }
        let document = doc! { "properties": of_text("{\"a\\u0000b\":\"c\\u0000d\"}", MOST_LEVELS) };
        let bytes = document.to_vec().unwrap();
        assert_eq!(Document::from_reader(&bytes[..]).unwrap(), document);
        let Bson::Document(document) = of_text(&deep(3), 2) else { panic!("no document") };
        assert_eq!(document, doc! { "a": { "a": "{\"a\":1}" } });
    }

    #[test]
    fn properties_that_would_grow_beyond_what_the_server_takes_stay_text() {
        let event = |numbers: usize| {
            let properties = format!("{{\"a\":[{}0]}}", "1,".repeat(numbers));
            let event = Event {
                id: EventId(Uuid::nil()),
                event_type: EventType::Custom,
                event_name: "x".into(),
                user_id: None,
                properties: Some(properties),
                created_at: Timestamp::UNIX_EPOCH,
            };
            of_event(NewEvent { event, key: None })
        };
        assert!(event(1000).get_document("properties").is_ok());
        let large = event(1 << 20);
        assert!(large.get_str("properties").is_ok() && large.to_vec().unwrap().len() < 16 << 20);
    }
}
