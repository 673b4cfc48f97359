//! The ids of a request: those that it brings along, or new ones.

use http::{HeaderMap, HeaderValue};

use crate::ids::Ids;
use crate::telemetry::correlation::{CorrelationId, TraceContext};

/// What a request brings along, unchecked: the first header of each name.
#[derive(Default)]
struct Named<'a> {
    correlation: Option<&'a HeaderValue>,
    request: Option<&'a HeaderValue>,
    traceparent: Option<&'a HeaderValue>,
}

/// `X-Correlation-ID` or `X-Request-ID` if valid, else a new id; a new span of `traceparent`, else of a new trace.
pub(super) fn ids_of(headers: &HeaderMap, ids: &Ids) -> (CorrelationId, TraceContext) {
    let named = named(headers);
    let parse = |value: &HeaderValue| CorrelationId::parse(value.as_bytes());
    let correlation_id = named.correlation.and_then(parse).or_else(|| named.request.and_then(parse));
    let trace = named.traceparent.and_then(|value| TraceContext::continue_from(value.to_str().ok()?, ids));
    (
        correlation_id.unwrap_or_else(|| CorrelationId::generate(ids)),
        trace.unwrap_or_else(|| TraceContext::generate(ids)),
    )
}

/// One walk over the few headers of a request costs less than three hashes of such long names.
fn named(headers: &HeaderMap) -> Named<'_> {
    let mut named = Named::default();
    for (name, value) in headers {
        let place = match name.as_str() {
            "x-correlation-id" => &mut named.correlation,
            "x-request-id" => &mut named.request,
            "traceparent" => &mut named.traceparent,
            _ => continue,
        };
        place.get_or_insert(value);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    #[test]
    fn the_first_sound_id_counts_and_the_correlation_id_before_the_request_id() {
        let ids = Ids::seeded(ManualClock::new(), 1);
        let id = |given: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(*name, HeaderValue::from_static(value));
            }
            ids_of(&headers, &ids).0.to_string()
        };
        assert_eq!(id(&[("x-request-id", "r"), ("x-correlation-id", "a"), ("x-correlation-id", "b")]), "a");
        assert_eq!(id(&[("x-correlation-id", "has space"), ("x-request-id", "r")]), "r");
        assert_eq!(id(&[("x-correlation-id", "has space"), ("x-correlation-id", "b")]).len(), 36);
        assert_eq!(id(&[("x-other", "o")]).len(), 36);
    }
}
