//! A line as JSON: the fixed fields in their order, then the event's own, each name once.

use std::io::Write as _;

use serde::Serialize;

use super::line::{Head, Key, Value, address};
use super::stamp::hex;
use super::text::{CUT_MARK, Text, is_obeyed};

/// Names that the line itself uses; an event's field with such a name gets a prefix.
pub(super) const FIXED_NAMES: [&str; 8] =
    ["timestamp", "level", "message", "service", "correlation_id", "trace_id", "span_id", "target"];

pub(super) fn head(out: &mut Vec<u8>, head: &Head<'_>, message: Text<'_>) {
    out.extend_from_slice(br#"{"timestamp":""#);
    head.stamp.rfc3339(out);
    out.extend_from_slice(br#"","level":""#);
    out.extend_from_slice(head.level.as_str().as_bytes());
    out.extend_from_slice(br#"","message":"#);
    text(out, message);
    out.extend_from_slice(br#","service":"#);
    text(out, Text::from(head.service));
    if let Some(id) = head.scope.and_then(|scope| scope.correlation_id.as_ref()) {
        out.extend_from_slice(br#","correlation_id":"#);
        text(out, Text::from(id.as_str()));
    }
    if let Some(trace) = head.scope.and_then(|scope| scope.trace) {
        out.extend_from_slice(br#","trace_id":""#);
        hex(out, trace.trace_id.to_be_bytes());
        out.extend_from_slice(br#"","span_id":""#);
        hex(out, trace.span_id.to_be_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(br#","target":"#);
    text(out, Text::from(head.target));
}

pub(super) fn field(out: &mut Vec<u8>, key: Key, value: Value<'_>) {
    if key.plain {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(key.name.as_bytes());
        out.extend_from_slice(b"\":");
    } else {
        name(out, key);
    }
    match value {
        Value::Text(value) => text(out, value),
        Value::Float(value) if !value.is_finite() => string(out, &value.to_string()),
        Value::Float(value) => any(out, &value),
        Value::Signed(value) => any(out, &value),
        Value::Unsigned(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        Value::Bool(value) => any(out, &value),
        Value::Millis(value) => value.write(out),
        Value::Address(value) => {
            out.push(b'"');
            address(out, value);
            out.push(b'"');
        }
    }
}

fn name(out: &mut Vec<u8>, key: Key) {
    out.push(b',');
    let start = out.len();
    string(out, key.name);
    for _ in 0..key.prefixes {
        out.splice(start + 1..=start, Key::PREFIX.bytes());
    }
    out.push(b':');
}

pub(super) fn tail(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

fn text(out: &mut Vec<u8>, text: Text<'_>) {
    string(out, text.shown);
    if text.cut && out.pop().is_some() {
        out.extend_from_slice(CUT_MARK.as_bytes());
        out.push(b'"');
    }
}

/// Most texts need no escape and are copied. serde_json escapes the rest, but leaves alone what JSON allows: DEL, C1 and
/// line separators. Terminals obey those, and readers such as Python's `splitlines` end a line at them.
fn string(out: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let start = out.len();
    any(out, text);
    if !text.contains(is_obeyed) {
        return;
    }
    let written = out.split_off(start);
    for c in String::from_utf8_lossy(&written).chars() {
        // Writing to a Vec cannot fail.
        let _ = if is_obeyed(c) { write!(out, "\\u{:04x}", u32::from(c)) } else { write!(out, "{c}") };
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| PLAIN[usize::from(byte)])
}

/// Bytes that stand for themselves.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

fn any<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Neither a Vec nor a plain string, number or bool can fail.
    let _ = serde_json::to_writer(out, value);
}
