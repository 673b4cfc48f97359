//! The headers that the edge writes on each answer.

use std::io::Write as _;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};

const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
const PROCESS_TIME_HEADER: HeaderName = HeaderName::from_static("x-process-time");
const REFERRER_POLICY: HeaderValue = HeaderValue::from_static("strict-origin-when-cross-origin");

/// How many they are. With those of a JSON answer, and of an encrypted one, they just fit into the table that is made for
/// them.
pub(super) const OWN_HEADERS: usize = 5;

/// Writes them, with how long the answer took.
pub(super) fn write(headers: &mut HeaderMap, duration: Duration, correlation_id: &str) {
    headers.reserve(OWN_HEADERS);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, REFERRER_POLICY);
    if let Ok(value) = seconds(duration) {
        headers.insert(PROCESS_TIME_HEADER, value);
    }
    if let Ok(value) = HeaderValue::from_str(correlation_id) {
        headers.insert(CORRELATION_HEADER, value);
    }
}

/// Seconds with six decimals, without the machinery of floating point.
fn seconds(duration: Duration) -> Result<HeaderValue, InvalidHeaderValue> {
    const PER_SECOND: u32 = 1_000_000;
    let mut text = [0; 32];
    let mut rest = &mut text[..];
    // Twenty digits at most, a point and six more: they fit.
    let _ = rest.write_all(itoa::Buffer::new().format(duration.as_secs()).as_bytes());
    let _ = rest.write_all(b".");
    // A digit in front keeps the zeros, and is left out.
    let mut micros = itoa::Buffer::new();
    let micros = micros.format(PER_SECOND + duration.subsec_micros()).as_bytes();
    let _ = rest.write_all(micros.get(1..).unwrap_or_default());
    let unused = rest.len();
    HeaderValue::from_bytes(text.get(..text.len() - unused).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_six_decimals() {
        for (micros, text) in [(0, "0.000000"), (38, "0.000038"), (1_000_000, "1.000000"), (61_999_999, "61.999999")] {
            assert_eq!(seconds(Duration::from_micros(micros)).unwrap(), text);
        }
        assert_eq!(seconds(Duration::MAX).unwrap(), "18446744073709551615.999999");
    }
}
