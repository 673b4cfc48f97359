//! Mails inside mails inside mails: the parser's own structures are recursive, so what nests without end would
//! overflow the stack, and with it end the whole sending. Looked for in the text, before it is parsed.

/// Parts of one mail. A tenth of what overflows the stack when each is inside the one before.
const MAX_PARTS: usize = 1000;
/// A mail with an encoded mail inside may have so many bytes: how that one nests cannot be seen. RFC 2046 allows no
/// encoding there.
const MAX_ENCODED_BYTES: usize = 8 << 10;

/// Why a mail must not be parsed, if so.
pub(super) fn too_deep(raw: &[u8]) -> Option<&'static str> {
    let mut scan = Scan::default();
    for line in raw.split(|byte| *byte == b'\n') {
        scan.line(line.trim_ascii_end());
    }
    scan.end_of_headers();
    if scan.parts > MAX_PARTS {
        return Some("it has over 1000 parts");
    }
    (scan.has_encoded_mail && raw.len() > MAX_ENCODED_BYTES).then_some("it has a large mail inside that is encoded")
}

/// Headers, as far as they tell of parts. Text that looks like headers counts too, which does no harm.
#[derive(Debug, Default)]
struct Scan {
    parts: usize,
    has_encoded_mail: bool,
    has_digest: bool,
    header: Header,
    has_type: bool,
    is_mail: bool,
    is_encoded: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Header {
    Type,
    Encoding,
    #[default]
    Other,
}

impl Scan {
    fn line(&mut self, line: &[u8]) {
        if line.is_empty() {
            return self.end_of_headers();
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            self.header = header(line);
            self.parts += usize::from(self.header == Header::Type);
        }
        match self.header {
            Header::Type => {
                self.has_type = true;
                self.is_mail |= contains(line, b"message");
                self.has_digest |= contains(line, b"digest");
            }
            Header::Encoding => self.is_encoded |= contains(line, b"base64") || contains(line, b"quoted"),
            Header::Other => {}
        }
    }

    fn end_of_headers(&mut self) {
        // In a digest a part without a type is a mail.
        let is_mail = self.is_mail || self.has_digest && !self.has_type;
        self.has_encoded_mail |= is_mail && self.is_encoded;
        (self.header, self.has_type, self.is_mail, self.is_encoded) = (Header::Other, false, false, false);
    }
}

fn header(line: &[u8]) -> Header {
    let begins = |name: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    match () {
        () if begins(b"content-type") => Header::Type,
        () if begins(b"content-transfer-encoding") => Header::Encoding,
        () => Header::Other,
    }
}

fn contains(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::mail::{self, Outside};
    use super::*;

    const HEAD: &str = "From: a@example.com\nDate: Mon, 1 Jan 2024 10:00:00 GMT\n";
    const INSIDE: &str = "Content-Type: message/rfc822\n\n";

    /// `=` and letters of its own are all that quoted-printable changes here.
    fn quoted(text: &str) -> String {
        text.replace('=', "=3D")
    }

    #[test]
    fn what_is_let_through_can_be_parsed() {
        for parts in [1, MAX_PARTS] {
            let raw = format!("{HEAD}{}x", INSIDE.repeat(parts));
            assert_eq!(too_deep(raw.as_bytes()), None);
            mail::data(raw.as_bytes(), Outside::default()).unwrap();
        }
        let encoded = format!("{HEAD}Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n");
        let raw = format!("{encoded}{}x", quoted(&INSIDE.repeat(260)));
        assert!(raw.len() < MAX_ENCODED_BYTES && too_deep(raw.as_bytes()).is_none());
        mail::data(raw.as_bytes(), Outside::default()).unwrap();
    }

    #[test]
    fn nesting_without_end_is_refused_in_every_spelling() {
        let deep = format!("{HEAD}{}x", INSIDE.to_uppercase().replace('\n', "\r\n").repeat(MAX_PARTS + 1));
        assert_eq!(too_deep(deep.as_bytes()), Some("it has over 1000 parts"));
        let large = "eHg=\n".repeat(MAX_ENCODED_BYTES / 5);
        for headers in [
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64",
            "content-transfer-encoding:\n QUOTED-printable\nCONTENT-TYPE:\n\tMessage/global",
            "Content-Type: multipart/digest; boundary=x\n\n--x\nContent-Transfer-Encoding: base64",
        ] {
            let raw = format!("{HEAD}{headers}\n\n{large}");
            assert_eq!(too_deep(raw.as_bytes()), Some("it has a large mail inside that is encoded"), "{headers}");
        }
    }

    #[test]
    fn a_large_attachment_beside_a_forwarded_mail_is_fine() {
        let large = "eHg=\n".repeat(MAX_ENCODED_BYTES);
        let raw = format!(
            "{HEAD}Content-Type: multipart/mixed; boundary=x\n\n--x\n{INSIDE}Subject: a\n\na message\n--x\n\
             Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n{large}--x--\n"
        );
        assert_eq!(too_deep(raw.as_bytes()), None);
    }
}
