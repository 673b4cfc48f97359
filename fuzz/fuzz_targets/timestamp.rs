//! `email_timestream`: whatever is taken prints as RFC 3339 in UTC and reads back as the same instant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipeline::model::timestamp::{EmailInstant, parse_email_timestream, parse_text};
use serde_json::value::RawValue;

fuzz_target!(|text: &str| {
    if let Ok(instant) = parse_text(text) {
        reads_back(instant);
    }
    if let Ok(raw) = serde_json::from_str::<&RawValue>(text)
        && let Ok(instant) = parse_email_timestream(raw)
    {
        reads_back(instant);
    }
});

fn reads_back(instant: EmailInstant) {
    let printed = instant.to_string();
    assert!(printed.ends_with('Z') && printed.as_bytes()[4] == b'-' && printed.as_bytes()[10] == b'T', "{printed}");
    assert_eq!(parse_text(&printed), Ok(instant), "{printed}");
}
