//! What several targets ask of what comes out.

use std::fmt;

use chassis::ports::queue::{Attributes, Message, MessageId, Receipt};
use chassis::telemetry::correlation::CorrelationId;
use jiff::Timestamp;
use pipeline::model::json_object::JsonObject;
use pipeline::model::names::{CORRELATION_ID, EMAIL_INSTANT, METADATA, SOURCE, TRACEPARENT};
use pipeline::model::record::{Rejection, record};
use pipeline::model::timestamp::parse_text;
use serde_json::Value;
use serde_json::value::RawValue;

/// As long as a real token, so that it does not occur by chance. Seeds hold it.
pub const TOKEN: &str = "7Jw2qPzX0vLr9sTt";

/// Fails when the token can be read in `shown`.
pub fn hides_the_token(shown: &impl fmt::Debug) {
    let shown = format!("{shown:?}");
    assert!(!shown.contains(TOKEN), "the token is in: {shown}");
}

/// Whether a request has the token as its member `token` and nowhere else, so that it must not be seen again.
pub fn sends_the_token(body: &[u8]) -> bool {
    let times = body.windows(TOKEN.len()).filter(|window| *window == TOKEN.as_bytes()).count();
    let members = std::str::from_utf8(body).ok().and_then(members).unwrap_or_default();
    times == 1 && members.iter().any(|(name, value)| name == "token" && value.contains(TOKEN))
}

/// Reads an object as other programs will; `None` for numbers beyond what a `Value` holds, which we pass on as text.
pub fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The members of an object in their order, each value as it is written; `None` when it is no object.
pub fn members(text: &str) -> Option<Vec<(String, String)>> {
    struct Members(Vec<(String, String)>);

    impl<'de> serde::Deserialize<'de> for Members {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Visitor).map(Self)
        }
    }

    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                members.push((name, value.get().to_owned()));
            }
            Ok(members)
        }
    }

    serde_json::from_str(text).ok().map(|Members(members)| members)
}

/// Archives what ingest put on the queue: what ingest promises is what the archiver checks, so it must be accepted.
pub fn archive(body: &str, source: &str, mut attributes: Attributes) -> String {
    attributes.insert(SOURCE.to_owned(), source.to_owned());
    let stored = archive_message(&message(body, attributes));
    stored.unwrap_or_else(|rejection| panic!("{source} sent what the archiver rejects: {rejection}"))
}

/// Archives a message and checks what holds for each record: the sender's own text with one member behind it, which
/// says what is known of the message and nothing that is not well formed.
pub fn archive_message(message: &Message) -> Result<String, Rejection> {
    let stored = record(message, Timestamp::UNIX_EPOCH)?;
    let object = JsonObject::parse(stored.as_bytes()).expect("a record is a JSON object");

    let own = message.body.trim_ascii().strip_suffix('}').expect("the body is an object");
    assert!(stored.starts_with(own), "the sender's text changed");
    let mut kept = members(&stored).expect("a record has members");
    let (name, metadata) = kept.pop().expect("a record has metadata");
    assert_eq!(name, METADATA);
    assert_eq!(Some(kept), members(&message.body), "the sender's members changed");
    assert_eq!(read(&object.without(METADATA)), read(&message.body), "the sender's members changed");
    check_metadata(&read(&metadata).expect("metadata is readable"), message);

    // Whoever sends a record is told that it is one.
    let again = Message { body: stored.clone(), ..message.clone() };
    assert_eq!(record(&again, Timestamp::UNIX_EPOCH), Err(Rejection::ReservedMember));
    Ok(stored)
}

fn check_metadata(metadata: &Value, message: &Message) {
    let attribute = |name| message.attributes.get(name).map(String::as_str);
    assert_eq!(metadata["message_id"], message.id.0);
    assert_eq!(metadata["source"].as_str(), attribute(SOURCE));
    assert_eq!(metadata["receive_count"], message.receive_count);
    for (name, time) in [("sent_at", message.sent_at), ("archived_at", Timestamp::UNIX_EPOCH)] {
        let text = metadata[name].as_str().expect("a time is text");
        assert_eq!(text.parse().ok(), Some(time), "{name} reads as another time");
    }
    if let Some(id) = metadata["correlation_id"].as_str() {
        assert_eq!(Some(id), attribute(CORRELATION_ID));
        assert!(CorrelationId::parse(id.as_bytes()).is_some(), "{id} is no correlation id");
    }
    if let Some(trace) = metadata["trace_id"].as_str() {
        let is_hex = trace.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        assert!(trace.len() == 32 && is_hex, "{trace} is no trace id");
        assert_eq!(Some(trace), attribute(TRACEPARENT).and_then(|parent| parent.get(3..35)));
    }
    let instant = attribute(EMAIL_INSTANT).and_then(|text| parse_text(text).ok()).map(|instant| instant.to_string());
    assert_eq!(metadata.get(EMAIL_INSTANT).and_then(Value::as_str), instant.as_deref());
    let known = 7 + usize::from(instant.is_some());
    assert_eq!(metadata.as_object().map(serde_json::Map::len), Some(known), "{metadata}");
}

/// A message on its first delivery.
pub fn message(body: &str, attributes: Attributes) -> Message {
    Message {
        id: MessageId("0197-a".to_owned()),
        receipt: Receipt("r".to_owned()),
        body: body.to_owned(),
        attributes,
        sent_at: Timestamp::UNIX_EPOCH,
        receive_count: 1,
    }
}

/// Decodes a body in chunks (RFC 9112, section 7.1): its length in `bytes`, and what it holds; `None` when it is broken
/// or not complete. Plain, for comparison with what must work in pieces.
pub fn decode_chunks(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mut rest = bytes;
    let mut body = Vec::new();
    loop {
        let line = line_of(&mut rest)?;
        let digits = line.split(|byte| b" \t;".contains(byte)).next().filter(|digits| !digits.is_empty())?;
        let mut size = 0_u64;
        for digit in digits {
            size = size.checked_mul(16)?.checked_add(char::from(*digit).to_digit(16)?.into())?;
        }
        if size == 0 {
            break;
        }
        let (chunk, behind) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        body.extend_from_slice(chunk);
        rest = behind.strip_prefix(b"\r\n")?;
    }
    while !line_of(&mut rest)?.is_empty() {}
    Some((bytes.len() - rest.len(), body))
}

/// Cuts the first line off; `None` when there is none that ends with CRLF and holds neither.
fn line_of<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (line, behind) = rest.split_at(rest.iter().position(|byte| b"\r\n".contains(byte))?);
    *rest = behind.strip_prefix(b"\r\n")?;
    Some(line)
}
