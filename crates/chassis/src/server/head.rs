//! The head of a request, checked before the HTTP library sees it.
//!
//! The library is lenient where RFC 9112 is strict: it takes a bare LF for the end of a line and chooses between two
//! lengths. A proxy in front of us may choose otherwise, and then the two of us see different requests in the same
//! bytes (request smuggling). What is ambiguous is refused here, and the connection closes.

use std::mem::MaybeUninit;

use http::Uri;
use http::uri::Authority;
use memchr::memchr;

use crate::error::Kind;
use crate::http::Refusal;

/// Bytes of a request head, its empty line included.
pub(super) const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Header fields of a request, as many as the library takes.
const MAX_HEADERS: usize = 100;

/// How the end of a body is found (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes; none for most requests.
    Length(u64),
    /// After the last chunk.
    Chunked,
}

/// Looks for the end of a head whose bytes arrive in pieces, and looks at each byte once.
#[derive(Debug, Default)]
pub(super) struct EndOfHead {
    scanned: usize,
    line_start: usize,
    has_request_line: bool,
}

impl EndOfHead {
    /// The length of the head at the beginning of `bytes`; `None` while its end is not there. Each call gets the
    /// bytes of the one before and more.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(at) = bytes.get(self.scanned..).and_then(|fresh| memchr(b'\n', fresh)) {
            let newline = self.scanned + at;
            if newline == 0 || bytes.get(newline - 1) != Some(&b'\r') {
                return Err(bad("A line of the request head does not end with CRLF"));
            }
            let is_empty = newline == self.line_start + 1;
            (self.scanned, self.line_start) = (newline + 1, newline + 1);
            if is_empty && self.has_request_line {
                self.within_limit(newline + 1)?;
                return Ok(Some(newline + 1));
            }
            // Empty lines before a request are to be ignored (section 2.2).
            self.has_request_line |= !is_empty;
        }
        self.scanned = bytes.len();
        self.within_limit(bytes.len())?;
        Ok(None)
    }

    fn within_limit(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= MAX_HEAD_BYTES {
            return Ok(());
        }
        Err(if self.has_request_line {
            Refusal::new(Kind::HeadersTooLarge, "The request head is larger than 32 KiB")
        } else {
            Refusal::new(Kind::UriTooLong, "The request target is longer than 32 KiB")
        })
    }
}

/// Checks a whole head, from its first byte to its empty line, and says how its body ends.
pub(super) fn check(head: &[u8]) -> Result<Framing, Refusal> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut headers) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(bad("The request head is malformed")),
        Err(error) => return Err(explain(error, head)),
    }
    check_target(request.path.unwrap_or_default())?;
    check_fields(request.headers, request.version == Some(1))
}

fn check_target(target: &str) -> Result<(), Refusal> {
    // Most targets need no parser to be known for good.
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~' | b'?' | b'=' | b'&' | b'%')
    };
    if target.starts_with('/') && target.bytes().all(is_plain) || Uri::try_from(target).is_ok() {
        return Ok(());
    }
    Err(bad("The request target is malformed"))
}

fn check_fields(headers: &[httparse::Header<'_>], is_http_11: bool) -> Result<Framing, Refusal> {
    let (mut host, mut length, mut encoding) = (None, None, None);
    for header in headers {
        let field = match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => &mut host,
            14 if header.name.eq_ignore_ascii_case("content-length") => &mut length,
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => &mut encoding,
            _ => continue,
        };
        if field.replace(header.value).is_some() {
            return Err(bad("A request has one Host, one Content-Length and one Transfer-Encoding at most"));
        }
    }
    check_host(host, is_http_11)?;
    match (length, encoding) {
        (Some(_), Some(_)) => Err(bad("A request has either Content-Length or Transfer-Encoding")),
        (None, Some(_)) if !is_http_11 => Err(bad("Transfer-Encoding needs HTTP/1.1")),
        (None, Some(encoding)) => check_encoding(encoding),
        (Some(length), None) => parse_length(length).map(Framing::Length),
        (None, None) => Ok(Framing::Length(0)),
    }
}

/// Section 3.2.
fn check_host(host: Option<&[u8]>, is_http_11: bool) -> Result<(), Refusal> {
    match host {
        None if is_http_11 => Err(bad("A request needs exactly one Host header")),
        None | Some([]) => Ok(()),
        Some(host) if is_plain_host(host) => Ok(()),
        Some(host) if host.contains(&b'@') || Authority::try_from(host).is_err() => Err(bad("Host is malformed")),
        Some(_) => Ok(()),
    }
}

/// A name or an IPv4 address, with or without a port: most hosts, which need no parser to be known for good.
fn is_plain_host(host: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let end = host.iter().position(|byte| !is_of_name(byte)).unwrap_or(host.len());
    match host.split_at_checked(end) {
        Some(([_, ..], [])) => true,
        Some(([_, ..], [b':', port @ ..])) => (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Section 6.1: what does not end with `chunked` has no end that we could find; what has other codings before it, we
/// cannot decode.
fn check_encoding(encoding: &[u8]) -> Result<Framing, Refusal> {
    if encoding.eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    let mut codings = encoding.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).rev();
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(is_chunked) && !codings.any(is_chunked) {
        return Err(Refusal::new(Kind::NotImplemented, "The only transfer coding of requests is chunked"));
    }
    Err(bad("Transfer-Encoding is malformed"))
}

/// Section 6.2. `from_str` would take a plus sign.
fn parse_length(length: &[u8]) -> Result<u64, Refusal> {
    let text = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    // More than anybody can mean, and the library has a use of its own for the largest numbers.
    let length = text.and_then(|text| text.parse().ok()).filter(|length| i64::try_from(*length).is_ok());
    length.ok_or(bad("Content-Length is not a number of bytes"))
}

fn explain(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => {
            Refusal::new(Kind::HeadersTooLarge, "The request has more than 100 header fields")
        }
        httparse::Error::Version if names_a_version(head) => {
            Refusal::new(Kind::VersionNotSupported, "This server speaks HTTP/1.1")
        }
        httparse::Error::HeaderName => bad("A header field has a malformed name"),
        httparse::Error::HeaderValue => bad("A header field has a malformed value"),
        httparse::Error::NewLine => bad("A line of the request head does not end with CRLF"),
        _ => bad("The request line is malformed"),
    }
}

/// Whether the first line is right but for its version: `HTTP/`, a digit, a point and a digit.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let version = words.nth(2).filter(|_| words.next().is_none()).unwrap_or_default();
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn bad(detail: &'static str) -> Refusal {
    Refusal::new(Kind::BadRequest, detail)
}

/// What a log line may say of a head that is refused: its method and target, where both are sound.
pub(super) fn request_line(head: &[u8]) -> Option<(&str, &str)> {
    let line = head.trim_ascii_start().split(|&byte| byte == b'\r' || byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    let is_known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method);
    (is_known && target.starts_with('/') && Uri::try_from(target).is_ok()).then_some((method, target))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_is_right_for_the_parser_too(host in "[A-Za-z0-9.-]{1,20}(:[0-9]{1,5})?", target in "/[A-Za-z0-9/._~?=&%-]{0,20}") {
            prop_assert!(is_plain_host(host.as_bytes()) && Authority::try_from(host.as_str()).is_ok());
            prop_assert!(check_target(&target).is_ok() && Uri::try_from(target.as_str()).is_ok());
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for host in ["", ":80", "a:", "a:b", "a:123456", "[::1]:80", "a@b", "a_b", "a b"] {
            assert!(!is_plain_host(host.as_bytes()), "{host}");
        }
    }
}
