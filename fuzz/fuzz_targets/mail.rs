//! A mail of `keelson send`: any bytes are a message that ingest takes, or a reason.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pipeline::model::message::MessageRequest;
use serde_json::json;

#[path = "../../crates/keelson/src/commands/send/mail.rs"]
mod mail;

fuzz_target!(|raw: &[u8]| {
    // The first line is that of an mbox, when it is text.
    let line = raw.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    for file_time in [None, Some(Timestamp::UNIX_EPOCH)] {
        match mail::data(raw, mail::Outside { from_line: line, file_time }) {
            Err(reason) => assert!(!reason.is_empty()),
            Ok(data) => {
                let body = json!({ "data": data, "token": "" }).to_string();
                let taken = MessageRequest::parse(body.as_bytes()).and_then(MessageRequest::into_queue_body);
                taken.unwrap_or_else(|error| panic!("ingest refuses it: {error}"));
            }
        }
    }
});
