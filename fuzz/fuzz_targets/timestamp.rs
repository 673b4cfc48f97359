//! `email_timestream`: whatever is taken prints as RFC 3339 in UTC and reads back as the same instant, which is the
//! one that another parser reads.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pipeline::model::timestamp::{EmailInstant, parse_email_timestream, parse_text};
use serde_json::value::{RawValue, to_raw_value};

fuzz_target!(|text: &str| {
    let instant = parse_text(text);
    let as_json = to_raw_value(text).expect("any text is a JSON string");
    assert_eq!(parse_email_timestream(&as_json), instant, "the same text in JSON is something else");
    if let Ok(instant) = instant {
        assert!(text.len() <= 64, "no timestamp is that long");
        reads_back(instant);
        if let Ok(other) = text.parse::<Timestamp>() {
            assert_eq!(instant.to_string().parse().ok(), Some(other), "{text} is another instant");
        }
    }
    if let Ok(raw) = serde_json::from_str::<&RawValue>(text)
        && let Ok(instant) = parse_email_timestream(raw)
    {
        assert!(matches!(raw.get().as_bytes().first(), Some(b'"' | b'0'..=b'9')), "{raw} is no text or number");
        reads_back(instant);
    }
});

fn reads_back(instant: EmailInstant) {
    let printed = instant.to_string();
    assert!(printed.ends_with('Z') && printed.as_bytes()[4] == b'-' && printed.as_bytes()[10] == b'T', "{printed}");
    assert_eq!(parse_text(&printed), Ok(instant), "{printed}");
}
