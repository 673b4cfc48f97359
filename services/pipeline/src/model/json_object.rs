//! A JSON object that keeps its own text: members are found by name and cut out, nothing is printed anew.

use std::borrow::Cow;
use std::fmt;

use secrecy::SecretString;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

/// The deepest nesting that is taken. serde_json's own parsers stop at the same level, so that whoever reads a stored
/// object can; its raw values do not stop at all.
pub const MAX_DEPTH: usize = 127;

/// Why a text was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a JSON object of at most {MAX_DEPTH} levels")]
pub struct NotAnObject;

/// One JSON object, borrowed from its text.
///
/// Members keep their order, and duplicates are all there. `Debug` shows only how many there are: the text may hold
/// tokens and personal data.
#[derive(Clone)]
pub struct JsonObject<'a> {
    text: &'a str,
    members: Vec<Member<'a>>,
}

/// One member of an object.
#[derive(Clone)]
struct Member<'a> {
    /// With its escapes decoded, so that no spelling of a name slips through a comparison.
    name: Cow<'a, str>,
    /// The name as it was written, with its quotes.
    raw_name: &'a RawValue,
    value: &'a RawValue,
}

impl<'a> JsonObject<'a> {
    /// Reads exactly one object, with white space around it at most.
    ///
    /// # Errors
    /// [`NotAnObject`] when the text is not UTF-8, not JSON, not an object, or deeper than [`MAX_DEPTH`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotAnObject> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotAnObject)?;
        Self::parse_text(text)
    }

    /// Reads a value that was cut out of an object, whose depth was looked at with it.
    ///
    /// # Errors
    /// [`NotAnObject`] when the value is something else.
    pub fn parse_value(value: &'a RawValue) -> Result<Self, NotAnObject> {
        Self::read(value.get())
    }

    fn parse_text(text: &'a str) -> Result<Self, NotAnObject> {
        if is_too_deep(text) {
            return Err(NotAnObject);
        }
        Self::read(text)
    }

    fn read(text: &'a str) -> Result<Self, NotAnObject> {
        let Members(members) = serde_json::from_str(text).map_err(|_| NotAnObject)?;
        Ok(Self { text: text.trim_ascii(), members })
    }

    /// The object as it was written, without white space around it.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The value of a member; of the last one when there are several, as in nearly every JSON parser.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().rev().find(|member| member.name == name).map(|member| member.value)
    }

    /// Whether there is a member of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The object's text without any member of this name; all the rest byte for byte, white space included.
    #[must_use]
    pub fn without(&self, name: &str) -> String {
        let (Some(first), Some(last)) = (self.members.first(), self.members.last()) else {
            return self.text.to_owned();
        };
        let mut out = String::with_capacity(self.text.len());
        out.push_str(&self.text[..self.span(first).0]);
        let mut previous_end = None;
        let mut is_first_kept = true;
        for member in &self.members {
            let (start, end) = self.span(member);
            if member.name != name {
                // The comma and the white space before a member belong to it; the first one that stays has none.
                let kept_from = previous_end.filter(|_| !is_first_kept).unwrap_or(start);
                out.push_str(&self.text[kept_from..end]);
                is_first_kept = false;
            }
            previous_end = Some(end);
        }
        out.push_str(&self.text[self.span(last).1..]);
        out
    }

    /// Where a member stands in the text, from the quote of its name to the end of its value. Both parts are slices of
    /// the text, so the distance of their addresses is their place.
    fn span(&self, member: &Member<'a>) -> (usize, usize) {
        let place = |part: &str| part.as_ptr().addr() - self.text.as_ptr().addr();
        let value = member.value.get();
        (place(member.raw_name.get()), place(value) + value.len())
    }

    /// The object's text with one more member at its end. `name` and `value` are JSON texts themselves.
    #[must_use]
    pub fn with_last(&self, name: &str, value: &str) -> String {
        let open = self.text.strip_suffix('}').unwrap_or(self.text);
        let comma = if self.is_empty() { "" } else { "," };
        format!("{open}{comma}{name}:{value}}}")
    }
}

impl fmt::Debug for JsonObject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonObject").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

/// The text of a JSON string; `None` for any other value, and for a string that is no Unicode text (half of a
/// surrogate pair).
#[must_use]
pub fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let inside = value.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(plain) = inside.filter(|inside| !inside.as_bytes().contains(&b'\\')) {
        // The parser that cut it out has looked at all else.
        return Some(Cow::Borrowed(plain));
    }
    serde_json::from_str::<Text<'_>>(value.get()).ok().map(|Text(text)| text)
}

/// The text of a JSON string that must not be printed; `None` as in [`text_of`].
#[must_use]
pub fn secret_of(value: &RawValue) -> Option<SecretString> {
    text_of(value).map(|text| SecretString::from(text.into_owned()))
}

/// Whether a value says nothing: `null`, `""`, `[]` or `{}`. Zero and `false` say something.
#[must_use]
pub fn is_blank(value: &RawValue) -> bool {
    let text = value.get();
    let brackets = |open, close| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let inside = brackets('[', ']').or_else(|| brackets('{', '}'));
    matches!(text, "null" | "\"\"") || inside.is_some_and(|inside| inside.trim_ascii().is_empty())
}

/// Nearly every text has fewer brackets than there may be levels, and to count them takes a fraction of the time.
fn is_too_deep(text: &str) -> bool {
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    brackets > MAX_DEPTH && depth(text) > MAX_DEPTH
}

/// The deepest nesting of brackets outside strings. Exact for JSON; whatever it says of another text, the parser
/// refuses that one.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((raw_name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let name = text_of(raw_name).ok_or_else(|| A::Error::custom("a name is no Unicode text"))?;
            members.push(Member { name, raw_name, value });
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests;
