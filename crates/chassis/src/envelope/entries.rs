//! The keys that the text of a setting holds, and what such a text must look like.

use std::fmt;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::error::Category;

use super::KeyRingError;

/// Bytes of the longest id: shorter than a key, so that a key that stands in the place of its id is noticed, and is not
/// sent in a header.
pub(super) const MAX_ID_BYTES: usize = 32;

/// One key of a text. A text that is one key says no id.
pub(super) struct Entry {
    pub(super) id: Option<String>,
    pub(super) text: SecretString,
}

/// The members of a JSON object, in their order, and those too whose name was there before.
struct Members(Vec<(String, SecretString)>);

/// What begins with a brace is a JSON object of ids and keys; anything else is one key, as the original systems have
/// it.
pub(super) fn read(text: &SecretString) -> Result<Vec<Entry>, KeyRingError> {
    let exposed = text.expose_secret();
    if exposed.trim().is_empty() {
        return Err(KeyRingError::found("an empty text"));
    }
    if !exposed.trim_start().starts_with('{') {
        return Ok(vec![Entry { id: None, text: text.clone() }]);
    }
    let Members(members) = serde_json::from_str::<Members>(exposed).map_err(|error| describe(&error))?;
    members.into_iter().enumerate().map(|(index, (id, text))| named(index + 1, id, text)).collect()
}

fn named(number: usize, id: String, text: SecretString) -> Result<Entry, KeyRingError> {
    let is_visible = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    // The id is not shown: it may be the key, when the two were exchanged.
    if id.is_empty() || id.len() > MAX_ID_BYTES || !id.bytes().all(is_visible) {
        let _wiped = Zeroizing::new(id);
        return Err(KeyRingError::found(format!(
            "an id of key {number} that is not 1 to {MAX_ID_BYTES} letters, digits, dots, hyphens or underscores"
        )));
    }
    if text.expose_secret().trim().is_empty() {
        return Err(KeyRingError::found(format!("no text of key {number}")));
    }
    Ok(Entry { id: Some(id), text })
}

/// Says where, not what: the parser's own message shows values.
fn describe(error: &serde_json::Error) -> KeyRingError {
    let found = match error.classify() {
        Category::Data => "a key that is no JSON string",
        Category::Io | Category::Syntax | Category::Eof => "a JSON object that is damaged",
    };
    KeyRingError::found(format!("{found}, at line {}, column {}", error.line(), error.column()))
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of ids and keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}
