//! What a file is: its name says so, or how it begins.

use std::ffi::OsStr;

use clap::ValueEnum;

/// How messages lie in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One mail (RFC 5322)
    Eml,
    /// Many mails, each after a line that begins with `From `
    Mbox,
    /// One message for each line, as a JSON object
    Jsonl,
}

/// Archives by their first bytes, and how to send what is in them.
const PACKED: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "it is packed: try `zcat FILE | keelson send -`"),
    (b"\x28\xb5\x2f\xfd", "it is packed: try `zstdcat FILE | keelson send -`"),
    (b"\xfd7zXZ", "it is packed: try `xzcat FILE | keelson send -`"),
    (b"BZh", "it is packed: try `bzcat FILE | keelson send -`"),
    (b"PK\x03\x04", "it is packed: unpack it into a folder and send that"),
];

/// The format, or why the file has none of them.
pub(super) fn detect(head: &[u8], extension: Option<&OsStr>, wanted: Option<Format>) -> Result<Format, String> {
    if head.trim_ascii().is_empty() && head.len() < 4096 {
        return Err("it is empty".into());
    }
    if let Some(wanted) = wanted {
        return Ok(wanted);
    }
    if let Some((_, advice)) = PACKED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err((*advice).into());
    }
    let extension = extension.and_then(OsStr::to_str).unwrap_or("").to_ascii_lowercase();
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    match extension.as_str() {
        "jsonl" | "ndjson" => Ok(Format::Jsonl),
        "mbox" | "mbx" => Ok(Format::Mbox),
        "eml" => Ok(Format::Eml),
        _ if text.starts_with(b"From ") => Ok(Format::Mbox),
        _ if text.trim_ascii_start().starts_with(b"{") => Ok(Format::Jsonl),
        _ if begins_with_header(text) => Ok(Format::Eml),
        _ if head.contains(&0) => Err("no mail: a binary file".into()),
        _ => Err("no mail: it does not begin with a header such as `From:`".into()),
    }
}

/// RFC 5322: a name of visible characters without a colon, then a colon; old ones have blanks before that.
fn begins_with_header(text: &[u8]) -> bool {
    let name = text.split(|byte| *byte == b':').next().unwrap_or(text);
    let name = name.trim_ascii_end();
    name.len() < text.len() && !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_name_says_or_how_it_begins() {
        let of = |name: &str, head: &[u8]| detect(head, std::path::Path::new(name).extension(), None);
        for (name, head, format) in [
            ("a.jsonl", &b"nonsense"[..], Format::Jsonl),
            ("a.NDJSON", b"x", Format::Jsonl),
            ("a.mbox", b"x", Format::Mbox),
            ("a.eml", b"From a@b\nSubject: x", Format::Eml),
            ("a.txt", b"From a@b\nSubject: x", Format::Mbox),
            ("a", b"\xef\xbb\xbf {\"data\":{}}", Format::Jsonl),
            ("1693561101.M1P2.host:2,S", b"Return-Path: <>\n", Format::Eml),
            ("a", b"Subject : x", Format::Eml),
        ] {
            assert_eq!(of(name, head), Ok(format), "{name}");
        }
        for (name, head, reason) in [
            ("a.eml", &b""[..], "empty"),
            ("a", b" \n", "empty"),
            ("a.eml", b"\x1f\x8b\x08", "zcat"),
            ("a", b"\x7fELF\0: ", "binary"),
            ("a.txt", b"Send lists to\nthem:", "header"),
            ("a.txt", b"word", "header"),
        ] {
            assert!(of(name, head).unwrap_err().contains(reason), "{name}");
        }
        assert_eq!(detect(b"x", None, Some(Format::Mbox)), Ok(Format::Mbox));
    }
}
