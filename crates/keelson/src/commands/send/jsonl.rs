//! JSON lines: each is a message's `data`, or `{"data":{…}}`. It is sent as it is written.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use pipeline::model::json_object::JsonObject;

const TOKEN: &str = "token";

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) size_bytes: u64,
    /// `None`: it is over the limit, and was read past.
    pub(super) text: Option<Vec<u8>>,
}

/// The next line, or `None` at the end.
pub(super) fn read_line(reader: &mut dyn BufRead, max_bytes: usize) -> io::Result<Option<Line>> {
    let mut text = Vec::new();
    let mut size_bytes = reader.take(max_bytes as u64 + 1).read_until(b'\n', &mut text)? as u64;
    if size_bytes == 0 {
        return Ok(None);
    }
    if text.len() <= max_bytes || text.ends_with(b"\n") {
        return Ok(Some(Line { size_bytes, text: Some(text) }));
    }
    drop(text);
    size_bytes += reader.skip_until(b'\n')? as u64;
    Ok(Some(Line { size_bytes, text: None }))
}

/// The text of `data`. A token is never sent on from a file: it would be stored with the message.
pub(super) fn data(line: &[u8]) -> Result<String, &'static str> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let object = JsonObject::parse(line).map_err(|_| "not a JSON object on one line")?;
    let data = match object.get("data") {
        // With the four fields beside it, `data` is one more member of the message itself.
        Some(inner) if !object.contains("email_content") => {
            JsonObject::parse_value(inner).map_err(|_| "its `data` is not a JSON object")?
        }
        _ => object,
    };
    let data: Cow<'_, str> = if data.contains(TOKEN) { data.without(TOKEN).into() } else { data.text().into() };
    Ok(data.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_kept_as_written_and_a_token_is_left_behind() {
        for (line, expected) in [
            (r#" {"email_content":1.0, "x":[ ]} "#, Ok(r#"{"email_content":1.0, "x":[ ]}"#)),
            (r#"{"token":"secret","data":{"a":"ü"}}"#, Ok(r#"{"a":"ü"}"#)),
            (r#"{"token":"secret","email_content":"x","data":7}"#, Ok(r#"{"email_content":"x","data":7}"#)),
            (r#"{"data":{"\u0074oken":"secret"}}"#, Ok("{}")),
            ("\u{feff}{}", Ok("{}")),
            ("{", Err("not a JSON object on one line")),
            ("[]", Err("not a JSON object on one line")),
            (r#"{"data":[]}"#, Err("its `data` is not a JSON object")),
        ] {
            assert_eq!(data(line.as_bytes()).as_deref(), expected.as_ref().copied(), "{line}");
        }
        assert!(data(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_line_over_the_limit_is_told_and_read_past() {
        let mut reader = &b"ab\ntoo long\nabc\n\nabc"[..];
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut reader, 3).unwrap() {
            lines.push((line.size_bytes, line.text.map(|text| String::from_utf8(text).unwrap())));
        }
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(lines, [(3, text("ab\n")), (9, None), (4, text("abc\n")), (1, text("\n")), (3, text("abc"))]);
    }
}
