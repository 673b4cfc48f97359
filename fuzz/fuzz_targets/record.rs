//! The archiver's record: any message of any sender is rejected or becomes a JSON object that still holds the
//! sender's own members.
#![no_main]

use chassis::ports::queue::{Attributes, MessageId};
use fuzz::{archive_message, message};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use pipeline::model::names::{CORRELATION_ID, EMAIL_INSTANT, SOURCE, TRACEPARENT};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    id: &'a str,
    source: Option<&'a str>,
    correlation_id: Option<&'a str>,
    traceparent: Option<&'a str>,
    email_instant: Option<&'a str>,
    body: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let attributes = [
        (SOURCE, input.source),
        (CORRELATION_ID, input.correlation_id),
        (TRACEPARENT, input.traceparent),
        (EMAIL_INSTANT, input.email_instant),
    ];
    let attributes: Attributes =
        attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    let mut message = message(input.body, attributes);
    message.id = MessageId(input.id.to_owned());
    let _ = archive_message(&message);
});
