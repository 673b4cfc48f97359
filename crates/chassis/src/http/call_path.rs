//! The path of a call that somebody asks for. It comes from outside and leads nowhere but below the address of the
//! service that is named: to no other host (CWE-918) and out of no base path (CWE-22), however it is written.
//!
//! What is between here and the handler of the service may decode a path once more than it should, or take more for
//! a separator than it is. So a path is looked at through every layer of encoding, and what is doubtful is refused.

use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

/// Bytes of the longest path with its query, so that the URL has less than the 8000 that every server can read
/// (RFC 9110, section 4.1).
const MAX_BYTES: usize = 4096;
/// A path that was encoded more often than this hides something.
const MAX_ENCODINGS: usize = 4;

const NOT_ABSOLUTE: &str = "expected an absolute path such as `/api/v1/users?limit=10`, without scheme and host";
const TOO_LONG: &str = "expected at most 4096 bytes";
const BAD_ESCAPE: &str = "expected two hexadecimal digits behind each `%`, and UTF-8 in the path";
const BAD_CHARACTER: &str = "expected the characters of RFC 3986 alone, and all others percent-encoded";
const CONTROL_CHARACTER: &str = "expected no control characters, encoded or not";
const FRAGMENT: &str = "expected no fragment: it is not sent";
const DOT_SEGMENT: &str = "expected no segment `.` or `..`, encoded or not";
const HIDDEN_SEPARATOR: &str = "expected no encoded slash and no backslash";
const TOO_ENCODED: &str = "expected a path that is percent-encoded once";

/// The path and the query, or what is expected instead.
pub(super) fn parse(text: &str) -> Result<PathAndQuery, &'static str> {
    if text.len() > MAX_BYTES {
        return Err(TOO_LONG);
    }
    // `//host` and, for browsers and their like, `/\host` begin with a host.
    let Some(behind_slash) = text.strip_prefix('/') else { return Err(NOT_ABSOLUTE) };
    if behind_slash.starts_with(['/', '\\']) {
        return Err(NOT_ABSOLUTE);
    }
    check_characters(text)?;
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    check_path(path)?;
    if percent_decode_str(query).any(|byte| byte.is_ascii_control()) {
        return Err(CONTROL_CHARACTER);
    }
    text.parse().map_err(|_| BAD_CHARACTER)
}

/// What may stand in a path or a query, RFC 3986, sections 3.3 and 3.4.
fn check_characters(text: &str) -> Result<(), &'static str> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut is_digit = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
                if !is_digit() || !is_digit() {
                    return Err(BAD_ESCAPE);
                }
            }
            b'#' => return Err(FRAGMENT),
            b'\\' => return Err(HIDDEN_SEPARATOR),
            byte if byte.is_ascii_control() => return Err(CONTROL_CHARACTER),
            byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte) => {}
            _ => return Err(BAD_CHARACTER),
        }
    }
    Ok(())
}

/// Looks for what leads elsewhere under each layer of encoding.
fn check_path(path: &str) -> Result<(), &'static str> {
    let separators = path.matches('/').count();
    let mut layer = path.to_owned();
    for _ in 0..MAX_ENCODINGS {
        if has_dot_segment(&layer) {
            return Err(DOT_SEGMENT);
        }
        // Not UTF-8 are, above all, the overlong forms of `.` and `/`.
        let decoded = percent_decode_str(&layer).decode_utf8().map_err(|_| BAD_ESCAPE)?;
        if decoded == layer {
            return Ok(());
        }
        if decoded.chars().any(char::is_control) {
            return Err(CONTROL_CHARACTER);
        }
        if decoded.contains('\\') || decoded.matches('/').count() != separators {
            return Err(HIDDEN_SEPARATOR);
        }
        layer = decoded.into_owned();
    }
    Err(TOO_ENCODED)
}

/// Whether a segment is `.` or `..`, for those too who leave parameters out (`..;a=b`), trim, or take for ASCII what
/// looks like it (NFKC).
fn has_dot_segment(path: &str) -> bool {
    let path: String = path.replace('\u{2025}', "..").chars().map(ascii_of).collect();
    path.split(['/', '\\']).any(|segment| {
        let name = segment.split(';').next().unwrap_or_default();
        matches!(name.trim(), "." | "..")
    })
}

/// What a character becomes in compatibility form, as far as it matters here.
fn ascii_of(character: char) -> char {
    match character {
        '\u{2024}' | '\u{fe52}' | '\u{ff0e}' => '.',
        '\u{ff0f}' => '/',
        '\u{fe68}' | '\u{ff3c}' => '\\',
        '\u{fe54}' | '\u{ff1b}' => ';',
        other => other,
    }
}

#[cfg(test)]
mod tests;
