//! The whole of a body that this process asked for or made. What clients send is read by [`crate::http`], which counts
//! its memory too.

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread<E> {
    /// It has more bytes than are wanted.
    #[error("it has more than {0} bytes")]
    TooLarge(usize),
    /// It did not come to its end.
    #[error("it broke off: {0}")]
    Broken(E),
}

/// Reads a body of at most so many bytes.
pub(crate) async fn read_body<B>(mut body: B, most: usize) -> Result<Bytes, Unread<B::Error>>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    if usize::try_from(body.size_hint().lower()).map_or(true, |bytes| bytes > most) {
        return Err(Unread::TooLarge(most));
    }
    let (mut whole, mut more) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        // Trailers say nothing about the body.
        let Ok(data) = frame.map_err(Unread::Broken)?.into_data() else { continue };
        if whole.len() + more.len() + data.len() > most {
            return Err(Unread::TooLarge(most));
        }
        // Most bodies come in one piece, which need not be copied.
        if whole.is_empty() && more.is_empty() {
            whole = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&std::mem::take(&mut whole));
            }
            more.extend_from_slice(&data);
        }
    }
    Ok(if more.is_empty() { whole } else { more.freeze() })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use futures_util::stream;

    use super::*;

    fn in_pieces(pieces: &'static [&'static str]) -> Body {
        Body::from_stream(stream::iter(
            pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))),
        ))
    }

    #[tokio::test]
    async fn a_body_is_read_whole_in_whatever_pieces_it_comes() {
        for (pieces, whole) in
            [(&[][..], ""), (&["one"], "one"), (&["", "one", "", "two", "three"], "onetwothree"), (&["", ""], "")]
        {
            assert_eq!(read_body(in_pieces(pieces), 11).await.unwrap(), whole, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_read() {
        for body in [Body::from("twelve bytes"), in_pieces(&["twelve", " ", "bytes"])] {
            let unread = read_body(body, 11).await.unwrap_err();
            assert_eq!(unread.to_string(), "it has more than 11 bytes");
        }
    }

    #[tokio::test]
    async fn what_breaks_off_says_so() {
        let pieces = [Ok(Bytes::from_static(b"one")), Err("gone")];
        let unread = read_body(Body::from_stream(stream::iter(pieces)), 11).await.unwrap_err();
        assert_eq!(unread.to_string(), "it broke off: gone");
    }
}
