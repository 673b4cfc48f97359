//! `POST /api/message`: the queue gets `data` byte for byte and nothing else, above all not the token beside it.
#![no_main]

use chassis::ports::queue::Attributes;
use fuzz::{TOKEN, archive, hides_the_token, read, sends_the_token};
use libfuzzer_sys::fuzz_target;
use pipeline::model::json_object::{JsonObject, text_of};
use pipeline::model::message::MessageRequest;

fuzz_target!(|body: &[u8]| {
    let has_secret = sends_the_token(body);
    let request = MessageRequest::parse(body);
    if has_secret {
        hides_the_token(&request);
    }
    let Ok(request) = request else { return };
    let queued = request.into_queue_body();
    if has_secret {
        hides_the_token(&queued.as_deref().map_err(|error| (error, error.text())));
        assert!(queued.as_ref().map_or(true, |queued| !queued.contains(TOKEN)), "the token is on the queue");
    }
    let Ok(queued) = queued else { return };

    let body = std::str::from_utf8(body).expect("JSON is UTF-8");
    assert!(body.contains(&queued), "the queue body is not as it was written");
    let data = JsonObject::parse(queued.as_bytes()).expect("the queue body is a JSON object");
    for name in ["email_subject", "email_sender", "email_timestream", "email_content"] {
        assert!(data.get(name).and_then(text_of).is_some_and(|text| !text.is_empty()), "{name} is no text");
    }
    if let Some(sent) = read(body) {
        assert_eq!(read(&queued).as_ref(), sent.get("data"), "the queue body is not `data`");
    }
    archive(&queued, "/api/message", Attributes::new());
});
