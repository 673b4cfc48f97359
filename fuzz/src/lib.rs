//! What several targets ask of what comes out.

use chassis::ports::queue::{Attributes, Message, MessageId, Receipt};
use jiff::Timestamp;
use pipeline::model::json_object::JsonObject;
use pipeline::model::names::SOURCE;
use pipeline::model::record::{Rejection, record};
use serde_json::Value;

/// Reads an object as other programs will; `None` for numbers beyond what a `Value` holds, which we pass on as text.
pub fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// Archives what ingest put on the queue: what ingest promises is what the archiver checks, so it must be accepted.
pub fn archive(body: &str, source: &str, mut attributes: Attributes) -> String {
    attributes.insert(SOURCE.to_owned(), source.to_owned());
    let stored = archive_message(&message(body, attributes));
    stored.unwrap_or_else(|rejection| panic!("{source} sent what the archiver rejects: {rejection}"))
}

/// Archives a message and checks what holds for each record.
pub fn archive_message(message: &Message) -> Result<String, Rejection> {
    let stored = record(message, Timestamp::UNIX_EPOCH)?;
    let object = JsonObject::parse(stored.as_bytes()).expect("a record is a JSON object");
    let metadata = object.get("_metadata").and_then(|raw| read(raw.get())).expect("a record has readable metadata");
    assert_eq!(metadata["message_id"], message.id.0);
    let kept = object.without("_metadata");
    assert_eq!(read(&kept), read(&message.body), "the user's members changed");
    Ok(stored)
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
