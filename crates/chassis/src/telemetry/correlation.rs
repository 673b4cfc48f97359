//! The ids of the work at hand: which service, which request or message, which trace.
//!
//! A scope is entered once for each request, message or worker and read by every log line written inside it. It is
//! carried by the task (a tokio task-local), not by a tracing span, because creating a span costs more than the rest
//! of the edge together.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use crate::ids::Ids;

/// Characters of the longest correlation id that is accepted from outside.
const MAX_CORRELATION_CHARS: usize = 128;

/// Names one request across services: at most 128 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// Takes an id from outside; `None` when it is empty, too long, or holds anything but visible ASCII.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= MAX_CORRELATION_CHARS && text.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(text).ok().filter(|_| fits)?;
        Some(Self(text.into()))
    }

    /// A new one: a UUIDv7.
    #[must_use]
    pub fn generate(ids: &Ids) -> Self {
        let mut text = Uuid::encode_buffer();
        Self((&*ids.uuid().hyphenated().encode_lower(&mut text)).into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a piece of work stands in a trace (W3C Trace Context).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// Shared by everything that one outside request caused.
    pub trace_id: u128,
    /// This piece of work.
    pub span_id: u64,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

/// Characters of `00-<32 hex>-<16 hex>-<2 hex>`.
const TRACEPARENT_CHARS: usize = 55;

impl TraceContext {
    /// A new trace.
    #[must_use]
    pub fn generate(ids: &Ids) -> Self {
        let (trace_id, span_id) = ids.trace();
        Self { trace_id, span_id, sampled: false }
    }

    /// What a `traceparent` header says: the trace, and the caller's span; `None` when the header is not valid.
    ///
    /// Source: <https://www.w3.org/TR/trace-context/#traceparent-header>
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let lower_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        let known = traceparent.get(..TRACEPARENT_CHARS)?;
        let rest_fits = traceparent.len() == TRACEPARENT_CHARS
            || (!known.starts_with("00") && traceparent.as_bytes().get(TRACEPARENT_CHARS) == Some(&b'-'));
        let mut parts = known.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let shaped = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
        let hex = [version, trace, span, flags].iter().all(|part| part.bytes().all(lower_hex));
        if !shaped || !hex || !rest_fits || version == "ff" {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace_id, span_id, sampled })
    }

    /// A new span in the trace of a `traceparent` header; `None` when the header is not valid.
    #[must_use]
    pub fn continue_from(traceparent: &str, ids: &Ids) -> Option<Self> {
        let (_, span_id) = ids.trace();
        Some(Self { span_id, ..Self::parse(traceparent)? })
    }

    /// The header that hands this trace on.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// The ids of the work at hand.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The name of the service that works, as others see it.
    pub service: Arc<str>,
    /// The request's or message's; `None` for work that nobody asked for, such as a periodic task.
    pub correlation_id: Option<CorrelationId>,
    /// `None` as above.
    pub trace: Option<TraceContext>,
    /// Where the request comes from: the peer, or whom a trusted proxy names.
    pub client: Option<IpAddr>,
    /// When whoever asked for the work no longer waits for it.
    pub deadline: Option<Instant>,
}

impl Scope {
    /// The scope of a service's own work, outside any request.
    #[must_use]
    pub fn service(name: &str) -> Self {
        Self { service: name.into(), correlation_id: None, trace: None, client: None, deadline: None }
    }
}

tokio::task_local! {
    static SCOPE: Scope;
}

/// Runs `work` inside `scope`. Tasks that it spawns do not inherit the scope.
pub fn in_scope<F: Future>(scope: Scope, work: F) -> impl Future<Output = F::Output> {
    SCOPE.scope(scope, work)
}

/// The present scope, if there is one.
#[must_use]
pub fn current() -> Option<Scope> {
    SCOPE.try_with(Scope::clone).ok()
}

/// Looks at the present scope without a copy of it; `None` when there is none.
pub fn with_current<T>(look: impl FnOnce(&Scope) -> T) -> Option<T> {
    SCOPE.try_with(look).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    #[test]
    fn correlation_ids_are_visible_ascii_of_bounded_length() {
        assert!(CorrelationId::parse(b"abc-123").is_some());
        assert!(CorrelationId::parse(&[b'a'; 128]).is_some());
        for bad in [&b""[..], &[b'a'; 129], b"with space", b"new\nline", "ümlaut".as_bytes(), b"\x7f"] {
            assert!(CorrelationId::parse(bad).is_none(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_traceparent_keeps_its_trace_and_gets_a_new_span() {
        let ids = Ids::seeded(ManualClock::new(), 1);
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = TraceContext::continue_from(header, &ids).unwrap();
        assert_eq!(trace.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_ne!(trace.span_id, 0xb7ad_6b71_6920_3331);
        assert!(trace.sampled);
        assert!(trace.traceparent().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    }

    #[test]
    fn a_bad_traceparent_starts_a_new_trace() {
        let ids = Ids::seeded(ManualClock::new(), 1);
        for bad in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        ] {
            assert!(TraceContext::continue_from(bad, &ids).is_none(), "{bad:?} was taken");
        }
    }

    #[tokio::test]
    async fn the_scope_is_seen_inside_and_not_outside() {
        let seen = || current().map(|scope| scope.service.to_string());
        assert_eq!(seen(), None);
        assert_eq!(in_scope(Scope::service("ingest"), async { seen() }).await.as_deref(), Some("ingest"));
    }
}
