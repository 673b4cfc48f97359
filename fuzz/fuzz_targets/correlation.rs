//! The headers that name a request and a trace: what is taken is harmless in a log line and is handed on unchanged.
#![no_main]

use std::sync::{Arc, LazyLock};

use chassis::ids::Ids;
use chassis::telemetry::correlation::{CorrelationId, TraceContext};
use chassis::testing::ManualClock;
use libfuzzer_sys::fuzz_target;

static IDS: LazyLock<Arc<Ids>> = LazyLock::new(|| Ids::seeded(ManualClock::new(), 1));

fuzz_target!(|header: &[u8]| {
    if let Some(id) = CorrelationId::parse(header) {
        assert_eq!(id.as_str().as_bytes(), header);
        assert!(header.len() <= 128 && header.iter().all(u8::is_ascii_graphic));
    }
    let Ok(header) = std::str::from_utf8(header) else { return };
    let Some(trace) = TraceContext::continue_from(header, &IDS) else { return };
    let handed_on = trace.traceparent();
    assert_eq!(handed_on[3..35], header[3..35], "another trace");
    assert_ne!(handed_on[36..52], header[36..52], "the caller's span is not ours");
    let next = TraceContext::continue_from(&handed_on, &IDS).expect("we take what we hand on");
    assert_eq!((next.trace_id, next.sampled), (trace.trace_id, trace.sampled));
});
