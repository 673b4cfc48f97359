//! What the archiver stores: whether a message may be, under which key, and with what beside it.

use chassis::ports::objects::{ObjectError, ObjectKey};
use chassis::ports::queue::{Attributes, Message, MessageId};
use chassis::telemetry::correlation::{CorrelationId, TraceContext};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::json_object::{JsonObject, is_blank, text_of};
use super::names::{
    CORRELATION_ID, EMAIL_INSTANT, EMAIL_TIMESTREAM, METADATA, REQUIRED_FIELDS, SOURCE, Source, TRACEPARENT,
};
use super::timestamp::parse_text;

/// Why a message is never stored, in words for an operator. Holds nothing of the message itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// It is no JSON object, or is nested too deeply to be read by others.
    #[error("the body is {}", super::json_object::NotAnObject)]
    NotAnObject,
    /// It has a member `_metadata`, where the archiver puts its own.
    #[error("the body has a member `_metadata`, a name that is kept for the archiver")]
    ReservedMember,
    /// It says that it comes from `/api/message` and lacks what ingest checks there.
    #[error("the source /api/message promises non-empty strings, these are not: {}", .0.join(", "))]
    MissingFields(Vec<&'static str>),
    /// The same of `/submit`.
    #[error("the source /submit promises `email_timestream`, which is absent or empty")]
    NoTimestream,
}

/// The body of the object: the message's own text with `_metadata` as its last member.
///
/// # Errors
/// [`Rejection`], when no later attempt can do better.
pub fn record(message: &Message, archived_at: Timestamp) -> Result<String, Rejection> {
    let object = JsonObject::parse(message.body.as_bytes()).map_err(|_| Rejection::NotAnObject)?;
    if object.contains(METADATA) {
        return Err(Rejection::ReservedMember);
    }
    let source = message.attributes.get(SOURCE).and_then(|route| Source::from_route(route));
    check_promise(&object, source)?;
    Ok(object.with_last(&format!("\"{METADATA}\""), &metadata(message, archived_at).to_json()))
}

/// Messages of other senders promise nothing but an object.
fn check_promise(object: &JsonObject<'_>, source: Option<Source>) -> Result<(), Rejection> {
    match source {
        None => Ok(()),
        Some(Source::Submit) => {
            let filled = object.get(EMAIL_TIMESTREAM).is_some_and(|value| !is_blank(value));
            if filled { Ok(()) } else { Err(Rejection::NoTimestream) }
        }
        Some(Source::ApiMessage) => {
            let is_kept = |name: &&str| object.get(name).and_then(text_of).is_some_and(|text| !text.is_empty());
            let fields: Vec<_> = REQUIRED_FIELDS.into_iter().filter(|name| !is_kept(name)).collect();
            if fields.is_empty() { Ok(()) } else { Err(Rejection::MissingFields(fields)) }
        }
    }
}

/// What stands beside the message, in this order. Printed as it is, since a tree of values for each message takes time.
#[derive(Debug, Serialize)]
struct Metadata<'a> {
    message_id: &'a MessageId,
    sent_at: Timestamp,
    archived_at: Timestamp,
    source: Option<&'a str>,
    correlation_id: Option<&'a str>,
    trace_id: Option<String>,
    receive_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_instant: Option<String>,
}

impl Metadata<'_> {
    #[expect(clippy::expect_used, reason = "only maps whose keys are no strings can fail, and there are none")]
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, times and numbers are JSON")
    }
}

/// Attributes come from any sender: ids and times that are not well formed count as unknown.
fn metadata(message: &Message, archived_at: Timestamp) -> Metadata<'_> {
    let attribute = |name| message.attributes.get(name).map(String::as_str);
    Metadata {
        message_id: &message.id,
        sent_at: message.sent_at,
        archived_at,
        source: attribute(SOURCE),
        correlation_id: attribute(CORRELATION_ID).filter(|id| CorrelationId::parse(id.as_bytes()).is_some()),
        trace_id: attribute(TRACEPARENT).and_then(trace_id),
        receive_count: message.receive_count,
        email_instant: email_instant(&message.attributes),
    }
}

fn email_instant(attributes: &Attributes) -> Option<String> {
    parse_text(attributes.get(EMAIL_INSTANT)?).ok().map(|instant| instant.to_string())
}

fn trace_id(traceparent: &str) -> Option<String> {
    TraceContext::parse(traceparent).map(|trace| format!("{:032x}", trace.trace_id))
}

/// Where each message has an object of its own.
pub const MESSAGES: &str = "messages";

/// What a stored record tells about itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Stored {
    /// The message.
    pub message_id: MessageId,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Names the request that sent it.
    pub correlation_id: Option<String>,
}

/// Reads what [`record`] has added; `None` when this is no such record.
#[must_use]
pub fn stored(record: &[u8]) -> Option<Stored> {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(rename = "_metadata")]
        metadata: Stored,
    }
    serde_json::from_slice(record).ok().map(|Whole { metadata }| metadata)
}

/// The record on one line: a line break in JSON is only ever white space between tokens, and becomes a blank.
#[must_use]
pub fn on_one_line(record: String) -> String {
    if record.contains(['\n', '\r']) { record.replace(['\n', '\r'], " ") } else { record }
}

/// `messages/YYYY/MM/DD/<message-id>.json`, by the UTC date of sending: a redelivery after midnight finds the same
/// key. Ids are UUIDs on every queue of ours; any other byte than of a plain name is percent-encoded, so that two ids
/// never share a key and none leaves its folder.
///
/// # Errors
/// [`ObjectError::InvalidKey`] for an id that is empty or too long for a file name.
pub fn object_key(message_id: &MessageId, sent_at: Timestamp) -> Result<ObjectKey, ObjectError> {
    key_on(message_id, day_of(sent_at))
}

/// The same key, where the day is known.
///
/// # Errors
/// As [`object_key`].
pub fn key_on(message_id: &MessageId, day: Date) -> Result<ObjectKey, ObjectError> {
    if message_id.0.is_empty() {
        return Err(ObjectError::InvalidKey("the message id is empty".into()));
    }
    format!("{}/{}.json", folder_of(MESSAGES, day), percent_encode(&message_id.0)).parse()
}

/// The UTC day of an instant.
#[must_use]
pub fn day_of(instant: Timestamp) -> Date {
    Offset::UTC.to_datetime(instant).date()
}

/// The folder of a day: `messages/YYYY/MM/DD`.
#[must_use]
pub fn folder_of(root: &str, day: Date) -> String {
    format!("{root}/{:04}/{:02}/{:02}", day.year(), day.month(), day.day())
}

/// The day of a key below [`folder_of`]; `None` for a key of another form.
#[must_use]
pub fn day_of_key(key: &ObjectKey) -> Option<Date> {
    let mut segments = key.as_str().split('/').skip(1);
    let (year, month, day) = (segments.next()?, segments.next()?, segments.next()?);
    segments.next()?;
    let is_whole = (year.len(), month.len(), day.len()) == (4, 2, 2);
    is_whole.then(|| Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()).flatten()
}

/// The message of a key that [`object_key`] made; `None` for any other.
#[must_use]
pub fn id_of_key(key: &ObjectKey) -> Option<MessageId> {
    let name = key.as_str().rsplit_once('/')?.1.strip_suffix(".json")?;
    let id = MessageId(percent_decode(name)?);
    key_on(&id, day_of_key(key)?).is_ok_and(|made| made == *key).then_some(id)
}

fn percent_encode(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for (index, byte) in id.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && index > 0);
        if is_plain { name.push(byte.into()) } else { name.push_str(&format!("%{byte:02X}")) }
    }
    name
}

fn percent_decode(name: &str) -> Option<String> {
    let mut id = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            id.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        id.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(id).ok()
}

#[cfg(test)]
mod tests;
