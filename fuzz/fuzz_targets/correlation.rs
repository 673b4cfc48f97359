//! The headers that name a request (`X-Correlation-ID`, `X-Request-ID`) and a trace (`traceparent`): what is taken is
//! what the specifications say, is harmless in a log line and is handed on unchanged.
#![no_main]

use std::sync::{Arc, LazyLock};

use chassis::ids::Ids;
use chassis::telemetry::correlation::{CorrelationId, TraceContext};
use chassis::testing::ManualClock;
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

static IDS: LazyLock<Arc<Ids>> = LazyLock::new(|| Ids::seeded(ManualClock::new(), 1));

fuzz_target!(|header: &[u8]| {
    check_id(header);
    match std::str::from_utf8(header) {
        Ok(header) => check_trace(header),
        // Header values that are no text are not looked at.
        Err(_) => assert!(HeaderValue::from_bytes(header).map_or(true, |value| value.to_str().is_err())),
    }
});

fn check_id(header: &[u8]) {
    let is_sound = (1..=128).contains(&header.len()) && header.iter().all(|byte| (b'!'..=b'~').contains(byte));
    let id = CorrelationId::parse(header);
    assert_eq!(id.is_some(), is_sound);
    let Some(id) = id else { return };
    assert_eq!(id.as_str().as_bytes(), header);
    HeaderValue::from_str(id.as_str()).expect("it goes into the answer's header");
    assert_eq!(CorrelationId::parse(id.to_string().as_bytes()), Some(id), "a message's attribute reads back");
}

fn check_trace(header: &str) {
    let trace = TraceContext::parse(header);
    assert_eq!(trace.is_some(), is_traceparent(header.as_bytes()), "{header}");
    let Some(trace) = trace else {
        assert_eq!(TraceContext::continue_from(header, &IDS), None);
        return;
    };
    let ours = TraceContext::continue_from(header, &IDS).expect("what reads can be continued");
    let handed_on = ours.traceparent();
    assert!(is_traceparent(handed_on.as_bytes()) && handed_on.starts_with("00-"), "{handed_on}");
    assert_eq!(handed_on[3..35], header[3..35], "another trace");
    assert_ne!(handed_on[36..52], header[36..52], "the caller's span is not ours");
    assert_eq!((ours.trace_id, ours.sampled), (trace.trace_id, trace.sampled));
    assert_eq!(TraceContext::parse(&handed_on), Some(ours), "we read what we hand on");
}

/// <https://www.w3.org/TR/trace-context/#traceparent-header>, character by character. A later version may have more
/// behind a dash.
fn is_traceparent(header: &[u8]) -> bool {
    let Some((known, more)) = header.split_at_checked(55) else { return false };
    let is_shaped = known.iter().enumerate().all(|(place, byte)| match place {
        2 | 35 | 52 => *byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let may_end = more.is_empty() || (&known[..2] != b"00" && more[0] == b'-');
    is_shaped && may_end && &known[..2] != b"ff" && !is_zero(&known[3..35]) && !is_zero(&known[36..52])
}
