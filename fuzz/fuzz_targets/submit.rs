//! `POST /submit`: the queue gets the payload without its token, however that is spelt.
#![no_main]

use chassis::ports::queue::Attributes;
use fuzz::{archive, read};
use libfuzzer_sys::fuzz_target;
use pipeline::model::json_object::JsonObject;
use pipeline::model::names::EMAIL_INSTANT;
use pipeline::model::submit::Submission;

fuzz_target!(|body: &[u8]| {
    let Ok(submission) = Submission::parse(body) else { return };
    let Ok(queued) = submission.into_queued() else { return };

    let payload = JsonObject::parse(queued.body.as_bytes()).expect("the queue body is a JSON object");
    assert!(!payload.contains("token"), "the token is still there");
    if let Some(mut sent) = std::str::from_utf8(body).ok().and_then(read) {
        sent.as_object_mut().expect("an object was sent").remove("token");
        assert_eq!(read(&queued.body), Some(sent), "more than the token is gone");
    }
    let instant = queued.email_instant.to_string();
    let stored = archive(&queued.body, "/submit", Attributes::from([(EMAIL_INSTANT.to_owned(), instant.clone())]));
    assert!(stored.contains(&format!("\"{EMAIL_INSTANT}\":\"{instant}\"")), "{instant} is not in the record");
});
