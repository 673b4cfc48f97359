//! Where a chunked body ends (RFC 9112, section 7.1).
//!
//! The HTTP library decodes chunks, and refuses bad ones; this only counts along to know where the next request
//! begins.

/// A place in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Before the first digit of a chunk's size.
    Start,
    /// In the digits; the size so far.
    Size(u64),
    /// In what may follow the size.
    Extension(u64),
    /// Before the line feed after the size.
    SizeLineFeed(u64),
    /// In a chunk; how many bytes of it are to come.
    Data(u64),
    /// After a chunk.
    DataReturn,
    /// After that.
    DataLineFeed,
    /// At the beginning of a line after the last chunk.
    TrailerStart,
    /// In a trailer field.
    Trailer,
    /// At the end of a trailer field.
    TrailerLineFeed,
    /// Before the very last byte.
    LastLineFeed,
    /// After it.
    Complete,
    /// Not chunked at all; whatever follows is no request.
    Broken,
}

impl Chunks {
    /// Goes through `bytes` to the end of the body or of the bytes; how many of them belong to the body.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(&byte) = bytes.get(taken) {
            match *self {
                Self::Data(left) => {
                    let here = left.min((bytes.len() - taken) as u64);
                    *self = if here == left { Self::DataReturn } else { Self::Data(left - here) };
                    // No more than the bytes that are there.
                    taken += here as usize;
                }
                Self::Complete => break,
                Self::Broken => return bytes.len(),
                _ => {
                    *self = self.after(byte);
                    taken += 1;
                }
            }
        }
        taken
    }

    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Start, byte) => Self::Size(0).after_digit(byte),
            (Self::Size(size) | Self::Extension(size), b'\r') => Self::SizeLineFeed(size),
            (Self::Size(size), b'\t' | b' ' | b';') => Self::Extension(size),
            (Self::Size(_), byte) => self.after_digit(byte),
            (Self::Extension(size), byte) if byte != b'\n' => Self::Extension(size),
            (Self::SizeLineFeed(0), b'\n') => Self::TrailerStart,
            (Self::SizeLineFeed(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataLineFeed,
            (Self::DataLineFeed, b'\n') => Self::Start,
            (Self::TrailerStart, b'\r') => Self::LastLineFeed,
            (Self::Trailer, b'\r') => Self::TrailerLineFeed,
            // A proxy may end a line at a bare LF, and the body at two of them.
            (Self::TrailerStart | Self::Trailer, byte) if byte != b'\n' => Self::Trailer,
            (Self::TrailerLineFeed, b'\n') => Self::TrailerStart,
            (Self::LastLineFeed, b'\n') => Self::Complete,
            _ => Self::Broken,
        }
    }

    fn after_digit(self, byte: u8) -> Self {
        let Self::Size(size) = self else { return Self::Broken };
        let digit = char::from(byte).to_digit(16).map(u64::from);
        let longer = digit.and_then(|digit| size.checked_mul(16)?.checked_add(digit));
        longer.map_or(Self::Broken, Self::Size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(bytes: &[u8]) -> (usize, Chunks) {
        let mut chunks = Chunks::Start;
        (chunks.advance(bytes), chunks)
    }

    #[test]
    fn a_body_ends_after_its_trailer() {
        for body in
            ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "A;x=\"y\"\r\n0123456789\r\n00\r\nDigest: x\r\nA: b\r\n\r\n"]
        {
            let followed = format!("{body}GET / HTTP/1.1\r\n");
            assert_eq!(taken(followed.as_bytes()), (body.len(), Chunks::Complete), "{body}");
        }
    }

    #[test]
    fn what_is_not_chunked_never_ends() {
        for body in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "5\nhello",
            "5;a\nhello",
            "1\r\nxx",
            "0\r\n\rx",
            "0\r\n\n",
            "0\r\nA: b\n\n",
            "0\r\nA: b\nC: d\r\n\r\n",
            "11111111111111111\r\n",
        ] {
            assert_eq!(taken(format!("{body}0\r\n\r\n").as_bytes()).1, Chunks::Broken, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(body in "([0-9a-f]{1,2}(;x)?\r\n[a-z]{0,20}\r\n){0,3}0\r\n\r\nrest", cut in 0_usize..60) {
            let bytes = body.as_bytes();
            let cut = cut.min(bytes.len());
            let mut chunks = Chunks::Start;
            let first = chunks.advance(&bytes[..cut]);
            let all = if first == cut { cut + chunks.advance(&bytes[cut..]) } else { first };
            prop_assert_eq!((all, chunks), taken(bytes));
        }
    }
}
