//! Messages of an mbox, one at a time and each bounded, as a mailbox may have gigabytes.
//!
//! The iterator of `mail-parser` is not used: it takes every line that begins with `From ` for a new message, holds
//! messages of any length, and drops what stands before the first one without a word.

use std::io::{self, BufRead, Read};

/// A message as it was before it was put into the mbox.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line before it.
    pub(super) from_line: String,
    /// What was read for it.
    pub(super) size_bytes: u64,
    /// `None`: it is over the limit, and was read past.
    pub(super) raw: Option<Vec<u8>>,
}

/// Reads entries up to `max_bytes` each.
#[derive(Debug)]
pub(super) struct Mbox<R> {
    reader: R,
    max_bytes: usize,
    line: Vec<u8>,
    size_bytes: u64,
    /// The `From_` line of the next message.
    next_from: Option<String>,
}

impl<R: BufRead> Mbox<R> {
    pub(super) fn new(reader: R, max_bytes: usize) -> Self {
        Self { reader, max_bytes, line: Vec::new(), size_bytes: 0, next_from: None }
    }

    /// The next message, or `None` at the end. What stands before the first `From_` line is one without a line.
    pub(super) fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut body = Body { bytes: Vec::new(), max_bytes: self.max_bytes, is_over: false };
        let mut from_line = self.next_from.take();
        let mut after_blank = from_line.is_none();
        let mut at_line_start = true;
        while self.read_line()? {
            if at_line_start && after_blank && is_from_line(&self.line) {
                let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
                if from_line.is_some() || !body.is_blank() {
                    self.next_from = Some(line);
                    return Ok(Some(self.entry(body, from_line)));
                }
                // Blank lines before the first message are nothing.
                (from_line, after_blank) = (Some(line), false);
                body.bytes.clear();
                continue;
            }
            let is_blank = matches!(self.line.as_slice(), b"\n" | b"\r\n");
            after_blank = at_line_start && is_blank;
            body.push(if at_line_start { unescaped(&self.line) } else { &self.line });
            at_line_start = self.line.ends_with(b"\n");
        }
        let is_something = from_line.is_some() || !body.is_blank();
        Ok(is_something.then(|| self.entry(body, from_line)))
    }

    fn entry(&mut self, body: Body, from_line: Option<String>) -> Entry {
        let size_bytes = std::mem::take(&mut self.size_bytes);
        Entry { from_line: from_line.unwrap_or_default(), size_bytes, raw: body.into_raw() }
    }

    /// One line, or the part of it that fits: a line has no bound of its own.
    fn read_line(&mut self) -> io::Result<bool> {
        const MOST: u64 = 64 << 10;
        self.line.clear();
        let bytes = self.reader.by_ref().take(MOST).read_until(b'\n', &mut self.line)?;
        self.size_bytes += bytes as u64;
        Ok(bytes > 0)
    }
}

#[derive(Debug)]
struct Body {
    bytes: Vec<u8>,
    max_bytes: usize,
    is_over: bool,
}

impl Body {
    fn push(&mut self, line: &[u8]) {
        if self.is_over || self.bytes.len() + line.len() > self.max_bytes {
            self.is_over = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(line);
        }
    }

    fn is_blank(&self) -> bool {
        !self.is_over && self.bytes.trim_ascii().is_empty()
    }

    /// The blank line before the next `From_` line belongs to the mbox.
    fn into_raw(mut self) -> Option<Vec<u8>> {
        for (blank, both) in [(&b"\r\n"[..], &b"\n\r\n"[..]), (b"\n", b"\n\n")] {
            if self.bytes == blank || self.bytes.ends_with(both) {
                self.bytes.truncate(self.bytes.len() - blank.len());
                break;
            }
        }
        (!self.is_over).then_some(self.bytes)
    }
}

/// `>From ` was `From `, `>>From ` was `>From ` (mboxrd; in mboxo the second is rare).
fn unescaped(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|byte| **byte == b'>').count();
    if quotes > 0 && line[quotes..].starts_with(b"From ") { &line[1..] } else { line }
}

/// Whether a line after a blank one separates messages. A paragraph may begin with the word as well, in an mbox that
/// does not escape; a separator has an address alone, or a time of day.
fn is_from_line(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let text = String::from_utf8_lossy(rest);
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_time = |word: &&str| {
        let parts: Vec<&str> = word.split(':').collect();
        let is_number = |part: &&str| part.len() <= 2 && part.parse::<u8>().is_ok();
        (2..=3).contains(&parts.len()) && parts.iter().all(is_number)
    };
    match words.as_slice() {
        [] => false,
        [only] => only.contains('@') || matches!(*only, "-" | "MAILER-DAEMON"),
        [_, rest @ ..] => rest.iter().any(is_time),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8], max_bytes: usize) -> Vec<(String, Option<String>)> {
        let mut mbox = Mbox::new(text, max_bytes);
        let mut found = Vec::new();
        while let Some(entry) = mbox.next_entry().unwrap() {
            found.push((entry.from_line, entry.raw.map(|raw| String::from_utf8_lossy(&raw).into_owned())));
        }
        found
    }

    const ANN: &str = "From ann@example.com Mon Jan  1 10:00:00 2024";

    #[test]
    fn messages_are_told_apart_and_unescaped() {
        let text = format!(
            "{ANN}\nSubject: 1\n\n>From here\n>>From there\n> From\n\nFrom now on this is text.\n\nFrom bob@example.com\nSubject: 2\n\nlast"
        );
        let first = "Subject: 1\n\nFrom here\n>From there\n> From\n\nFrom now on this is text.\n";
        let expected = [
            (ANN.to_owned(), Some(first.to_owned())),
            ("From bob@example.com".to_owned(), Some("Subject: 2\n\nlast".to_owned())),
        ];
        assert_eq!(read(text.as_bytes(), 1000), expected);
    }

    #[test]
    fn a_message_over_the_limit_is_told_and_the_next_one_is_read() {
        let text = format!("{ANN}\r\n{}\r\n\r\n{ANN}\r\nsmall\r\n\r\n", "x".repeat(200_000));
        let found = read(text.as_bytes(), 100);
        assert_eq!(found, [(ANN.to_owned(), None), (ANN.to_owned(), Some("small\r\n".to_owned()))]);
    }

    #[test]
    fn nothing_is_dropped_before_the_first_from_line() {
        assert_eq!(read(b"", 9), []);
        assert_eq!(read(b"\n\n", 9), []);
        let text = format!("lost?\n\n{ANN}\nx");
        let expected = [(String::new(), Some("lost?\n".to_owned())), (ANN.to_owned(), Some("x".to_owned()))];
        assert_eq!(read(text.as_bytes(), 99), expected);
        assert_eq!(read(format!("\n{ANN}\n\n{ANN}\n").as_bytes(), 99).len(), 2, "empty messages are messages");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(text in "(From a@b|>|\n|From b 1:2|x| ){0,40}", max in 0_usize..30) {
            let found = read(text.as_bytes(), max);
            let kept: usize = found.iter().map(|(line, raw)| line.len() + raw.as_ref().map_or(0, String::len)).sum();
            prop_assert!(kept <= text.len());
        }

        #[test]
        fn what_is_escaped_comes_back(lines in proptest::collection::vec(">{0,3}(From )?[a-z]{0,5}", 0..8)) {
            let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let quotes = |line: &str| line.trim_start_matches('>').starts_with("From ");
            let escape = |line: &String| if quotes(line) { format!(">{line}\n") } else { format!("{line}\n") };
            let escaped: String = lines.iter().map(escape).collect();
            let found = read(format!("{ANN}\n{escaped}\n{ANN}\nx").as_bytes(), 1000);
            prop_assert_eq!(found[0].1.as_deref().unwrap(), body);
        }
    }
}
