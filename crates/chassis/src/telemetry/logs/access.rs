//! The access log: one line for each request, written by hand, since an event for each request costs more than the
//! rest of the edge.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, StatusCode};
use memchr::memchr;

use super::line::{FieldWriter, Head, Key, Millis, Value, address};
use super::text::{CUT_MARK, Text};
use super::{Level, json};

/// The target of access lines.
pub const ACCESS: &str = "keelson::access";

/// Bytes that are shown of a path or, in the message, of a method. They come from outside and are of no use when longer.
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
    /// Whether another service of the system only looked who is alive: every few seconds, and nobody wants to read that.
    pub is_probe: bool,
}

impl AccessRecord<'_> {
    pub(super) fn level(&self) -> Level {
        match StatusCode::from_u16(self.status) {
            // Degraded, not broken; whoever must act for it is told by the line that names the cause.
            Ok(StatusCode::SERVICE_UNAVAILABLE) => Level::Warning,
            Ok(status) if status.is_server_error() => Level::Error,
            _ if self.is_probe => Level::Debug,
            _ => Level::Info,
        }
    }

    /// A line for a person, of whom few want all fields.
    pub(super) fn write_readable(&self, fields: &mut FieldWriter<'_>) {
        let mut status = itoa::Buffer::new();
        fields.message_of(&self.message(self.shown_path(), status.format(self.status)));
        fields.field(Key::own("duration_ms"), Value::Millis(Millis(self.duration)));
        if let Some(client) = self.client {
            fields.field(Key::own("client"), Value::Address(client));
        }
    }

    /// A line for a reader that takes it apart, so that its fields hold what the message says. All is known
    /// beforehand, so it is written at once into its place.
    pub(super) fn write_json(&self, out: &mut Vec<u8>, head: &Head<'_>) {
        let path = self.shown_path();
        let mut status = itoa::Buffer::new();
        let status = status.format(self.status);
        out.clear();
        json::before_message(out, head);
        json::joined(out, &self.message(path, status));
        json::after_message(out, head);
        out.extend_from_slice(br#","method":"#);
        json::text(out, Text::from(self.method.as_str()));
        out.extend_from_slice(br#","route":"#);
        json::text(out, Text::from(self.route));
        out.extend_from_slice(br#","path":"#);
        json::text(out, path);
        out.extend_from_slice(br#","status":"#);
        out.extend_from_slice(status.as_bytes());
        out.extend_from_slice(br#","duration_ms":"#);
        Millis(self.duration).write(out);
        if let Some(client) = self.client {
            out.extend_from_slice(br#","client":""#);
            address(out, client);
            out.push(b'"');
        }
        json::tail(out);
    }

    fn shown_path(&self) -> Text<'_> {
        let path = memchr(b'?', self.path.as_bytes()).and_then(|end| self.path.get(..end)).unwrap_or(self.path);
        Text::bounded(path, MAX_SHOWN_BYTES)
    }

    fn message<'a>(&'a self, path: Text<'a>, status: &'a str) -> [&'a str; 6] {
        let mark = if path.cut { CUT_MARK } else { "" };
        let method = Text::bounded(self.method.as_str(), MAX_SHOWN_BYTES).shown;
        [method, " ", path.shown, mark, " ", status]
    }
}
