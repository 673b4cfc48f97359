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
    before_message(out, head);
    text(out, message);
    after_message(out, head);
}

pub(super) fn before_message(out: &mut Vec<u8>, head: &Head<'_>) {
    out.extend_from_slice(br#"{"timestamp":""#);
    head.stamp.rfc3339(out);
    out.extend_from_slice(br#"","level":""#);
    out.extend_from_slice(head.level.as_str().as_bytes());
    out.extend_from_slice(br#"","message":"#);
}

pub(super) fn after_message(out: &mut Vec<u8>, head: &Head<'_>) {
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

/// One text of several pieces.
pub(super) fn joined(out: &mut Vec<u8>, pieces: &[&str]) {
    out.push(b'"');
    for piece in pieces {
        if is_plain(piece) {
            out.extend_from_slice(piece.as_bytes());
        } else {
            // Escapes stand for single characters, so that pieces can be escaped one by one; the quotes come off.
            let start = out.len();
            string(out, piece);
            out.remove(start);
            out.pop();
        }
    }
    out.push(b'"');
}

pub(super) fn text(out: &mut Vec<u8>, text: Text<'_>) {
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

/// Whether all characters stand for themselves. Looks at eight at once, since each line has some hundred of them.
fn is_plain(text: &str) -> bool {
    let (words, _) = text.as_bytes().as_chunks::<8>();
    match text.as_bytes().last_chunk::<8>() {
        // The last eight may be looked at twice in part, which costs less than to look at them one by one.
        Some(last) => words.iter().chain([last]).all(|word| is_plain_word(u64::from_ne_bytes(*word))),
        None => text.bytes().all(is_plain_byte),
    }
}

fn is_plain_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// The same for eight bytes. A byte's top bit in one of the terms says that it is not plain; a borrow or carry from a
/// byte below can say so of a plain byte only where that lower byte is not plain itself.
fn is_plain_word(word: u64) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    // One more makes DEL the first that has the top bit.
    let from_del = word.wrapping_add(EACH) | word;
    (below(word, b' ') | is(b'"') | is(b'\\') | from_del) & (EACH << 7) == 0
}

fn any<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Neither a Vec nor a plain string, number or bool can fail.
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_texts_are_those_whose_every_character_stands_for_itself() {
        for byte in 0..=u8::MAX {
            let plain = (0x20..0x7f).contains(&byte) && !br#""\"#.contains(&byte);
            for around in [b' ', b'~', b'!', b'#', b'[', b']', b'a'] {
                for place in 0..8 {
                    let mut word = [around; 8];
                    word[place] = byte;
                    assert_eq!(is_plain_word(u64::from_ne_bytes(word)), plain, "{byte} at {place} among {around}");
                }
            }
            assert_eq!(is_plain_byte(byte), plain, "{byte}");
        }
        assert!(is_plain("") && is_plain("abc") && is_plain("abcdefgh") && is_plain("abcdefghi"));
        assert!(!is_plain("abcdefgh\"") && !is_plain("\"abcdefgh"));
    }
}
