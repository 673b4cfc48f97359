//! Bodies that clients send in signed or trailed chunks.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::aws::error::AwsError;
use crate::aws::reply::header;

/// Whether the body is `aws-chunked`.
pub(super) fn is_chunked(headers: &HeaderMap) -> bool {
    header(headers, "x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-"))
        || header(headers, "content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked"))
}

/// The content, without sizes, signatures and trailers.
pub(super) fn decode(mut body: &[u8]) -> Result<Bytes, AwsError> {
    let mut content = BytesMut::with_capacity(body.len());
    loop {
        let (size, rest) = chunk_size(body).ok_or_else(malformed)?;
        if size == 0 {
            // Trailers follow; they carry checksums, and nothing is stored of them.
            return Ok(content.freeze());
        }
        let (data, rest) = rest.split_at_checked(size).ok_or_else(malformed)?;
        content.extend_from_slice(data);
        body = rest.strip_prefix(b"\r\n").ok_or_else(malformed)?;
    }
}

/// Size in hexadecimal digits, extensions after a semicolon, end of line.
fn chunk_size(body: &[u8]) -> Option<(usize, &[u8])> {
    let end = body.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&body[..end]).ok()?;
    let size = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
    Some((size, &body[end + 2..]))
}

fn malformed() -> AwsError {
    AwsError::new(400, "IncompleteBody", "The request body terminated unexpectedly")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_whether_signed_or_followed_by_a_checksum() {
        let signed = b"3;chunk-signature=ab\r\nabc\r\n2;chunk-signature=cd\r\nde\r\n0;chunk-signature=ef\r\n\r\n";
        assert_eq!(decode(signed).unwrap(), "abcde");
        let trailed = b"a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        assert_eq!(decode(trailed).unwrap(), "0123456789");
    }

    #[test]
    fn a_body_that_ends_within_a_chunk_is_refused() {
        for body in [&b""[..], b"5\r\nabc", b"3\r\nabcde", b"zz\r\n", b"ffffffffffffffff\r\na"] {
            assert_eq!(decode(body).unwrap_err().code, "IncompleteBody");
        }
    }
}
