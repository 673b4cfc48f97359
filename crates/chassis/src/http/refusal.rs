//! What the server says of bytes that are no request: before it gives a connection up, it answers like any other
//! error, with ids, headers, metrics and a log line.

use http::header;

use crate::error::{Error, Kind};

/// Why a connection is given up. The server hands it over with the request that stands for the bytes it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    pub(crate) detail: &'static str,
}

impl Refusal {
    pub(crate) const fn new(kind: Kind, detail: &'static str) -> Self {
        Self { kind, detail }
    }
}

impl From<Refusal> for Error {
    /// The connection closes: its client cannot be trusted to frame the next request either.
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.kind, refusal.detail).with_header(header::CONNECTION, "close")
    }
}
