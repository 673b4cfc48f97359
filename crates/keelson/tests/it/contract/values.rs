//! What answers hold, beside what rows expect there.
//!
//! A text `<kind-name>` stands for a value: the first answer that has it gives it, and all after that must have the
//! same. Ids are UUIDs of version 7, times RFC 3339 in UTC, tokens three parts. A kind alone stands for any value of
//! it: `<time>`, and `<text>` for one that is not empty; `<any>` is anything.

use serde_json::{Value, json};

use super::walk::Walk;

impl Walk {
    pub(super) fn matches(&mut self, place: &str, pattern: &Value, found: &Value) -> Result<(), String> {
        match (pattern, found) {
            (Value::String(text), _) if text == "<any>" => Ok(()),
            (Value::Object(patterns), Value::Object(members)) => {
                same(place, &json!(names(pattern)), &json!(names(found)))?;
                patterns.iter().try_for_each(|(name, it)| self.matches(&format!("{place}.{name}"), it, &members[name]))
            }
            (Value::Array(patterns), Value::Array(items)) => {
                same(&format!("length of {place}"), &json!(patterns.len()), &json!(items.len()))?;
                let mut pairs = patterns.iter().zip(items).enumerate();
                pairs.try_for_each(|(index, (it, item))| self.matches(&format!("{place}[{index}]"), it, item))
            }
            (Value::String(text), Value::String(found)) => match value_name(text) {
                Some(name) => self.learn(place, name, found),
                None => same(place, pattern, &json!(found)),
            },
            _ => same(place, pattern, found),
        }
    }

    fn learn(&mut self, place: &str, name: &str, found: &str) -> Result<(), String> {
        if let Some(known) = self.known.get(name) {
            return same(place, &json!(known), &json!(found));
        }
        let is_right = match name.split('-').next() {
            Some("id") => found.parse::<::users::model::UserId>().is_ok_and(|id| id.0.get_version_num() == 7),
            Some("time") => found.ends_with('Z') && found.parse::<jiff::Timestamp>().is_ok(),
            Some("text") => !found.is_empty(),
            Some("token") => found.split('.').filter(|part| !part.is_empty()).count() == 3,
            kind => panic!("{kind:?} is no kind of value"),
        };
        // A kind alone is no name.
        if name.contains('-') {
            self.known.insert(name.to_owned(), found.to_owned());
        }
        if is_right { Ok(()) } else { Err(format!("{place}: {found} is no {name}")) }
    }
}

fn value_name(text: &str) -> Option<&str> {
    text.strip_prefix('<')?.strip_suffix('>')
}

fn names(object: &Value) -> Vec<&String> {
    object.as_object().into_iter().flat_map(|members| members.keys()).collect()
}

pub(super) fn same(place: &str, expected: &Value, found: &Value) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{place}: expected {expected}, found {found}")) }
}
