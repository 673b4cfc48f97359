//! `POST /submit`: the queue gets the payload without its token, however that is spelt, and all the rest as it was.
#![no_main]

use chassis::ports::queue::Attributes;
use fuzz::{TOKEN, archive, hides_the_token, members, read, sends_the_token};
use libfuzzer_sys::fuzz_target;
use pipeline::model::json_object::JsonObject;
use pipeline::model::names::EMAIL_INSTANT;
use pipeline::model::submit::Submission;

fuzz_target!(|body: &[u8]| {
    let has_secret = sends_the_token(body);
    let submission = Submission::parse(body);
    if has_secret {
        hides_the_token(&submission);
    }
    let Ok(submission) = submission else { return };
    let queued = submission.into_queued();
    if has_secret {
        hides_the_token(&queued);
        assert!(queued.as_ref().map_or(true, |queued| !queued.body.contains(TOKEN)), "the token is on the queue");
    }
    let Ok(queued) = queued else { return };

    let payload = JsonObject::parse(queued.body.as_bytes()).expect("the queue body is a JSON object");
    assert!(!payload.contains("token"), "the token is still there");
    let body = std::str::from_utf8(body).expect("JSON is UTF-8");
    let sent = members(body).expect("an object was sent").into_iter().filter(|(name, _)| name != "token");
    assert_eq!(members(&queued.body), Some(sent.collect()), "more than the token is gone");
    if let Some(mut sent) = read(body) {
        sent.as_object_mut().expect("an object was sent").remove("token");
        assert_eq!(read(&queued.body), Some(sent), "other programs read something else");
    }
    let instant = queued.email_instant.to_string();
    let stored = archive(&queued.body, "/submit", Attributes::from([(EMAIL_INSTANT.to_owned(), instant.clone())]));
    assert!(stored.contains(&format!("\"{EMAIL_INSTANT}\":\"{instant}\"")), "{instant} is not in the record");
});
