//! One line in the making: what every line has, and the writer of an event's own fields.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use tracing::field::{Field, Visit};

use super::json::{self, FIXED_NAMES};
use super::stamp::{Stamp, padded};
use super::text::{Collector, Text};
use super::{Format, Level, terminal};
use crate::telemetry::correlation::Scope;

/// What every line has.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) stamp: &'a Stamp,
    pub(super) level: Level,
    pub(super) service: &'a str,
    pub(super) scope: Option<&'a Scope>,
    pub(super) target: &'a str,
    /// Whether the event comes from one of our own crates.
    pub(super) own: bool,
}

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(Text<'a>),
    Signed(i128),
    Unsigned(u128),
    Float(f64),
    Bool(bool),
    Millis(Millis),
    Address(IpAddr),
}

/// A duration as milliseconds with three decimals, written without floating point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Millis(pub(super) Duration);

impl Millis {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        padded(out, micros / 1000, 1);
        out.push(b'.');
        padded(out, micros % 1000, 3);
    }
}

/// Writes an address; the frequent kind without a formatter.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                out.extend_from_slice(if place == 0 { b"" } else { b"." });
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// The name of a field, with as many prefixes as it takes to be the only one of that name on its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) prefixes: usize,
    /// Whether the name is one of ours, which nothing has to be escaped in.
    pub(super) plain: bool,
}

impl Key {
    pub(super) const PREFIX: &'static str = "field.";

    /// A name of ours, which is known to be the only one.
    pub(super) fn own(name: &'static str) -> Self {
        Self { name, prefixes: 0, plain: true }
    }

    /// The name of an event's field. Prefixes that it brings along count, so that `a` twice and `field.a` differ.
    fn unique(name: &'static str, seen: &mut Vec<Self>) -> Self {
        let mut key = Self { name: name.strip_prefix("r#").unwrap_or(name), prefixes: 0, plain: false };
        while let Some(rest) = key.name.strip_prefix(Self::PREFIX) {
            key = Self { name: rest, prefixes: key.prefixes + 1, plain: false };
        }
        while (key.prefixes == 0 && FIXED_NAMES.contains(&key.name)) || seen.contains(&key) {
            key.prefixes += 1;
        }
        seen.push(key);
        key
    }
}

/// Memory that one thread uses again for each line.
#[derive(Debug, Default)]
pub(super) struct Parts {
    message: Collector,
    value: Collector,
    fields: Vec<u8>,
    seen: Vec<Key>,
}

impl Parts {
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.fields.shrink_to(bytes);
    }
}

/// Takes the fields of an event and writes them in one of the formats.
pub(super) struct FieldWriter<'a> {
    format: Format,
    parts: &'a mut Parts,
}

impl FieldWriter<'_> {
    pub(super) fn message(&mut self, message: fmt::Arguments<'_>) {
        self.parts.message.set(message);
    }

    /// The same from pieces, for lines that are written often.
    pub(super) fn message_of(&mut self, pieces: &[&str]) {
        self.parts.message.set_pieces(pieces);
    }

    pub(super) fn field(&mut self, key: Key, value: Value<'_>) {
        match self.format {
            Format::Json => json::field(&mut self.parts.fields, key, value),
            Format::Terminal { .. } => terminal::field(&mut self.parts.fields, key, value),
        }
    }

    fn event_field(&mut self, field: &Field, value: Value<'_>) {
        let key = Key::unique(field.name(), &mut self.parts.seen);
        self.field(key, value);
    }

    fn is_message(&self, field: &Field) -> bool {
        field.name() == "message" && self.parts.message.text().shown.is_empty()
    }

    fn formatted(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.is_message(field) {
            return self.message(value);
        }
        let key = Key::unique(field.name(), &mut self.parts.seen);
        self.display(key, value);
    }

    pub(super) fn display(&mut self, key: Key, value: fmt::Arguments<'_>) {
        // Taken out for the moment, because writing the field borrows the parts.
        let mut text = std::mem::take(&mut self.parts.value);
        text.set(value);
        self.field(key, Value::Text(text.text()));
        self.parts.value = text;
    }
}

impl Visit for FieldWriter<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.event_field(field, Value::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.event_field(field, Value::Signed(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.event_field(field, Value::Unsigned(value.into()));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.event_field(field, Value::Signed(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.event_field(field, Value::Unsigned(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.event_field(field, Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.is_message(field) {
            return self.message(format_args!("{value}"));
        }
        self.event_field(field, Value::Text(Text::from(value)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.formatted(field, format_args!("{}", Causes(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.formatted(field, format_args!("{value:?}"));
    }
}

/// An error with its causes: `cannot open the queue: disk is full`.
struct Causes<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Writes a whole line. The fields come first, aside, because an event may hand over its message last.
pub(super) fn write(
    out: &mut Vec<u8>,
    format: Format,
    head: &Head<'_>,
    parts: &mut Parts,
    content: &impl Fn(&mut FieldWriter<'_>),
) {
    out.clear();
    parts.message.clear();
    parts.fields.clear();
    parts.seen.clear();
    content(&mut FieldWriter { format, parts });
    let message = parts.message.text();
    match format {
        Format::Json => json::head(out, head, message),
        Format::Terminal { color } => terminal::head(out, head, message, color),
    }
    out.extend_from_slice(&parts.fields);
    match format {
        Format::Json => json::tail(out),
        Format::Terminal { .. } => terminal::tail(out, head),
    }
}
