//! The access log: one line for each request, written by hand, since an event for each request costs more than the
//! rest of the edge.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, StatusCode};
use memchr::memchr;

use super::Level;
use super::line::{FieldWriter, Key, Millis, Value};
use super::text::{CUT_MARK, Text};

/// The target of access lines.
pub const ACCESS: &str = "keelson::access";

/// Bytes of a path that are shown. It comes from outside and is of no use when longer.
const MAX_SHOWN_BYTES: usize = 512;

/// One answered request.
#[derive(Debug, Clone, Copy)]
pub struct AccessRecord<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The template that matched, such as `/orders/{id}`; never the raw path.
    pub route: &'a str,
    /// The path as it was asked for. A query string is cut off here, because it may hold secrets.
    pub path: &'a str,
    /// The answer's status.
    pub status: u16,
    /// From the head of the request to the head of the answer.
    pub duration: Duration,
    /// Who asked, as far as the proxies are trusted.
    pub client: Option<IpAddr>,
}

impl AccessRecord<'_> {
    pub(super) fn level(&self) -> Level {
        match StatusCode::from_u16(self.status) {
            // Degraded, not broken; whoever must act for it is told by the line that names the cause.
            Ok(StatusCode::SERVICE_UNAVAILABLE) => Level::Warning,
            Ok(status) if status.is_server_error() => Level::Error,
            _ => Level::Info,
        }
    }

    pub(super) fn write(&self, fields: &mut FieldWriter<'_>) {
        let path = memchr(b'?', self.path.as_bytes()).and_then(|end| self.path.get(..end)).unwrap_or(self.path);
        let path = Text::bounded(path, MAX_SHOWN_BYTES);
        let mark = if path.cut { CUT_MARK } else { "" };
        let mut status = itoa::Buffer::new();
        fields.message_of(&[self.method.as_str(), " ", path.shown, mark, " ", status.format(self.status)]);
        if fields.is_for_machines() {
            fields.field(Key::own("method"), Value::Text(self.method.as_str().into()));
            fields.field(Key::own("route"), Value::Text(self.route.into()));
            fields.field(Key::own("path"), Value::Text(path));
            fields.field(Key::own("status"), Value::Unsigned(self.status.into()));
        }
        fields.field(Key::own("duration_ms"), Value::Millis(Millis(self.duration)));
        if let Some(client) = self.client {
            fields.field(Key::own("client"), Value::Address(client));
        }
    }
}
