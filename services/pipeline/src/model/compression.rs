//! How roll-ups are compressed.

use std::io::{self, Read};

use chassis::config::FromText;
use serde::{Deserialize, Serialize};

/// zstd's own default: higher levels take several times the time for a few percent of mail and JSON.
const LEVEL: i32 = 3;

/// How the data of a roll-up is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// Zstandard (RFC 8878), one frame with a checksum.
    Zstd,
}

impl Compression {
    /// What the names of data objects end with.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => ".ndjson",
            Self::Zstd => ".ndjson.zst",
        }
    }

    /// The media type of data objects.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::None => "application/x-ndjson",
            Self::Zstd => "application/zstd",
        }
    }

    /// Takes long for much data: not for an async thread.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn compress(self, data: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(data.to_vec()),
            Self::Zstd => {
                let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
                compressor.include_checksum(true)?;
                compressor.compress(data)
            }
        }
    }

    /// The data again, which must not be longer than `limit`: a few bytes can claim to be a thousand times as many.
    ///
    /// # Errors
    /// When it is damaged, or longer.
    pub fn decompress(self, stored: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        match self {
            Self::None => data.extend_from_slice(stored),
            Self::Zstd => {
                zstd::stream::read::Decoder::new(stored)?.take(limit.saturating_add(1)).read_to_end(&mut data)?;
            }
        }
        if data.len() as u64 > limit {
            Err(io::Error::other(format!("more than {limit} bytes of data")))
        } else {
            Ok(data)
        }
    }
}

impl FromText for Compression {
    const EXPECTED: &'static str = "`none` or `zstd`";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_comes_back_and_damage_is_noticed() {
        let data = b"{\"a\":1}\n".repeat(1000);
        let limit = data.len() as u64;
        for compression in [Compression::None, Compression::Zstd] {
            let stored = compression.compress(&data).unwrap();
            assert_eq!(compression.decompress(&stored, limit).unwrap(), data);
            assert!(compression.decompress(&stored, limit - 1).is_err(), "the limit does not hold");
        }
        let stored = Compression::Zstd.compress(&data).unwrap();
        assert!(stored.len() < data.len() / 50);
        assert!(Compression::Zstd.decompress(&stored[..stored.len() - 1], limit).is_err(), "truncated");
        let mut flipped = stored;
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        assert!(Compression::Zstd.decompress(&flipped, limit).is_err(), "another byte");
    }
}
