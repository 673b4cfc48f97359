//! `POST /api/message`: the queue gets `data` and nothing else, above all not the token beside it.
#![no_main]

use chassis::ports::queue::Attributes;
use fuzz::{archive, read};
use libfuzzer_sys::fuzz_target;
use pipeline::model::json_object::{JsonObject, text_of};
use pipeline::model::message::MessageRequest;

fuzz_target!(|body: &[u8]| {
    let Ok(request) = MessageRequest::parse(body) else { return };
    let Ok(queued) = request.into_queue_body() else { return };

    let data = JsonObject::parse(queued.as_bytes()).expect("the queue body is a JSON object");
    for name in ["email_subject", "email_sender", "email_timestream", "email_content"] {
        assert!(data.get(name).and_then(text_of).is_some_and(|text| !text.is_empty()), "{name} is no text");
    }
    if let Some(sent) = std::str::from_utf8(body).ok().and_then(read) {
        assert_eq!(read(&queued).as_ref(), sent.get("data"), "the queue body is not `data`");
    }
    archive(&queued, "/api/message", Attributes::new());
});
