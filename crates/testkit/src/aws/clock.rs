//! The fake's own time: it runs with the machine's, and can be turned forward.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Milliseconds since 1970, as SQS counts.
pub(crate) type Millis = u64;

#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_at: Millis,
    ahead: AtomicU64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the fake is the world outside: its time is the machine's")]
    pub(crate) fn new() -> Self {
        let started_at = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        Self { started: Instant::now(), started_at, ahead: AtomicU64::new(0) }
    }

    pub(crate) fn now(&self) -> Millis {
        self.started_at + millis(self.started.elapsed()) + self.ahead()
    }

    /// How long the fake has been running, however its clock was turned.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(millis(by), Ordering::Relaxed);
    }

    /// How far the clock was turned.
    pub(crate) fn ahead(&self) -> Millis {
        self.ahead.load(Ordering::Relaxed)
    }
}

pub(crate) fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn timestamp(at: Millis) -> Timestamp {
    i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::MAX)
}

/// The date form of HTTP headers, RFC 9110 section 5.6.7.
pub(crate) fn http_date(at: Millis) -> String {
    timestamp(at).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
