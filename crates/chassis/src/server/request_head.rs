//! How the server finds where a request ends, for programs that test it: see [`crate::testing::request_head`].

use super::chunks::Chunks;
use super::head::{self, EndOfHead, Framing};

/// The length of the request head at the beginning of `bytes`, which arrive in `pieces`: how many are there at each
/// look, in rising order; the last look is at all of them. `None` while the end of the head is not there.
///
/// # Errors
/// What a client is told that sends these bytes.
pub fn find_end(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) -> Result<Option<usize>, &'static str> {
    let mut end_of_head = EndOfHead::default();
    for there in pieces {
        let found = end_of_head.find(bytes.get(..there).unwrap_or(bytes)).map_err(|refusal| refusal.detail)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    end_of_head.find(bytes).map_err(|refusal| refusal.detail)
}

/// Checks a whole head, its empty line included. The number of bytes in its body; `None` for a body in chunks.
///
/// # Errors
/// What a client is told that sends this head.
pub fn check(head: &[u8]) -> Result<Option<u64>, &'static str> {
    match head::check(head).map_err(|refusal| refusal.detail)? {
        Framing::Length(length) => Ok(Some(length)),
        Framing::Chunked => Ok(None),
    }
}

/// Where the body in chunks at the beginning of `bytes` ends, which arrive in `pieces` as in [`find_end`]; `None`
/// when it has no end, or none yet.
#[must_use]
pub fn find_end_of_chunks(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) -> Option<usize> {
    let mut chunks = Chunks::Start;
    let mut taken = 0;
    for there in pieces.into_iter().chain([bytes.len()]) {
        taken += chunks.advance(bytes.get(taken..there.min(bytes.len())).unwrap_or_default());
        if chunks == Chunks::Complete {
            return Some(taken);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_where_they_end_in_whatever_pieces_they_come() {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let all = [&head[..], b"2\r\nhi\r\n0\r\n\r\nGET"].concat();
        for pieces in [vec![], (1..all.len()).collect(), vec![head.len() - 1, head.len() + 3]] {
            assert_eq!(find_end(&all, pieces.clone()), Ok(Some(head.len())));
            assert_eq!(find_end_of_chunks(&all[head.len()..], pieces), Some(12));
        }
        assert_eq!(check(head), Ok(None));
        assert_eq!(check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Some(0)));
        assert!(find_end(b"GET / HTTP/1.1\n", []).is_err() && check(b"GET / HTTP/1.1\r\n\r\n").is_err());
    }
}
