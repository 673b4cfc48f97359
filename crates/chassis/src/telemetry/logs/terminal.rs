//! A line for a person at a terminal. What a value holds stays text: it cannot start a line of its own, move the
//! cursor, or change the colour.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use super::Level;
use super::line::{Head, Key, Value};
use super::text::{CUT_MARK, Text, is_obeyed};

/// Characters of a correlation id that are shown: the last ones, since the first ones of a UUIDv7 are the time.
const SHOWN_ID_CHARS: usize = 8;

const RESET: &[u8] = b"\x1b[0m";

pub(super) fn head(out: &mut Vec<u8>, head: &Head<'_>, message: Text<'_>, color: bool) {
    head.stamp.time_of_day(out);
    out.push(b' ');
    if color {
        out.extend_from_slice(color_of(head.level));
    }
    // Writing to a Vec cannot fail; here and below.
    let _ = write!(out, "{:<8}", head.level);
    if color {
        out.extend_from_slice(RESET);
    }
    let (service, message) = (Plain(Text::from(head.service)), Plain(message));
    let _ = write!(out, "  {service}  {message} ");
    if !head.own {
        let _ = write!(out, " target={}", Plain(Text::from(head.target)));
    }
}

pub(super) fn field(out: &mut Vec<u8>, key: Key, value: Value<'_>) {
    out.push(b' ');
    for _ in 0..key.prefixes {
        out.extend_from_slice(Key::PREFIX.as_bytes());
    }
    let _ = write!(out, "{}=", Plain(Text::from(key.name)));
    let _ = match value {
        Value::Text(text) if is_bare(text.shown) => write!(out, "{}", Plain(text)),
        Value::Text(text) => write!(out, "\"{}\"", Quoted(text)),
        Value::Float(value) => write!(out, "{value}"),
        Value::Signed(value) => write!(out, "{value}"),
        Value::Unsigned(value) => write!(out, "{value}"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Millis(value) => {
            value.write(out);
            Ok(())
        }
        Value::Address(value) => write!(out, "{value}"),
    };
}

pub(super) fn tail(out: &mut Vec<u8>, head: &Head<'_>) {
    if let Some(id) = head.scope.and_then(|scope| scope.correlation_id.as_ref()) {
        // Correlation ids are ASCII, so any byte is a boundary.
        let short = id.as_str().get(id.as_str().len().saturating_sub(SHOWN_ID_CHARS)..).unwrap_or_default();
        let mark = if short.len() < id.as_str().len() { CUT_MARK } else { "" };
        let _ = write!(out, "  cid={mark}{short}");
    }
    while out.last() == Some(&b' ') {
        out.pop();
    }
    out.push(b'\n');
}

fn color_of(level: Level) -> &'static [u8] {
    match level {
        Level::Debug => b"\x1b[90m",
        Level::Info => b"\x1b[32m",
        Level::Warning => b"\x1b[33m",
        Level::Error => b"\x1b[31m",
        Level::Critical => b"\x1b[1;41m",
    }
}

fn is_bare(text: &str) -> bool {
    !text.is_empty() && !text.contains([' ', '"', '='])
}

/// Text with everything escaped that a terminal would obey instead of show.
struct Plain<'a>(Text<'a>);

/// The same between quotes.
struct Quoted<'a>(Text<'a>);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(f, self.0, false)
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(f, self.0, true)
    }
}

fn escaped(f: &mut fmt::Formatter<'_>, text: Text<'_>, quoted: bool) -> fmt::Result {
    for c in text.shown.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '"' if quoted => f.write_str("\\\"")?,
            c if is_obeyed(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    if text.cut { f.write_str(CUT_MARK) } else { Ok(()) }
}
