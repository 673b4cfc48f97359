//! A queue message as the archiver decodes it: any row of any sender is rejected, or becomes a JSON object under its
//! own key that still holds the sender's own members.
#![no_main]

use chassis::ports::queue::{Attributes, MessageId};
use fuzz::{archive_message, message};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pipeline::model::record::object_key;

// A line each, as in the queue's file: the id, when it was sent and how often it was received, the attributes; then the
// body.
fuzz_target!(|row: &str| {
    let columns: Vec<_> = row.splitn(4, '\n').collect();
    let [id, times, attributes, body] = columns[..] else { return };
    let (sent_at, receive_count) = times.split_once(' ').unwrap_or((times, "1"));
    let (Ok(sent_at), Ok(receive_count)) = (sent_at.parse(), receive_count.parse()) else { return };
    // What the queue cannot read is no message.
    let Ok(sent_at) = Timestamp::from_microsecond(sent_at) else { return };
    let Ok(attributes) = serde_json::from_str::<Attributes>(attributes) else { return };

    let mut message = message(body, attributes);
    message.id = MessageId(id.to_owned());
    message.sent_at = sent_at;
    message.receive_count = receive_count;
    if let Err(rejection) = archive_message(&message) {
        // It becomes the dead letter's reason.
        let reason = rejection.to_string();
        assert!(!reason.is_empty() && reason.len() < 250 && !reason.contains(char::is_control), "{reason}");
    }
    if let Ok(key) = object_key(&message.id, sent_at) {
        assert!(key.as_str().starts_with("messages/") && key.as_str().ends_with(".json"), "{key}");
    }
});
