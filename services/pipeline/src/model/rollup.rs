//! Roll-ups: many messages in one object, one record to a line (NDJSON), and an index beside it.
//!
//! `rollups/YYYY/MM/DD/<name>.ndjson` (`.ndjson.zst` when compressed) holds messages that were sent on that UTC day.
//! `<name>.index.json` is written after it, and tells what is in it and where. Names are UUIDv7, so that they sort by
//! time. A message may be in two of them, after a crash between the write and the deletion from the queue.

use chassis::ports::objects::{ObjectError, ObjectKey};
use chassis::ports::queue::MessageId;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::compression::Compression;
use super::record::folder_of;

/// The version of the format, told in each index. Readers refuse any other.
pub const VERSION: u32 = 1;
/// Where roll-ups are.
pub const ROLLUPS: &str = "rollups";
/// The most that a roll-up may hold, uncompressed.
pub const MAX_BYTES: u64 = 1 << 30;
/// What the names of indexes end with.
const INDEX: &str = ".index.json";

/// A part of a roll-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is where.
    Index,
    /// The records.
    Data(Compression),
}

/// The key of a part of the roll-up `name`.
///
/// # Errors
/// [`ObjectError::InvalidKey`] for a name that is none.
pub fn part_key(day: Date, name: &str, part: Part) -> Result<ObjectKey, ObjectError> {
    let extension = match part {
        Part::Index => INDEX,
        Part::Data(compression) => compression.extension(),
    };
    format!("{}/{name}{extension}", folder_of(ROLLUPS, day)).parse()
}

/// Splits the key of a part into what all parts of the roll-up have in common, and which one it is.
#[must_use]
pub fn part_of(key: &ObjectKey) -> Option<(&str, Part)> {
    let parts = [Part::Index, Part::Data(Compression::None), Part::Data(Compression::Zstd)];
    parts.into_iter().find_map(|part| {
        let extension = match part {
            Part::Index => INDEX,
            Part::Data(compression) => compression.extension(),
        };
        key.as_str().strip_suffix(extension).map(|stem| (stem, part))
    })
}

/// What a roll-up holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`VERSION`].
    pub version: u32,
    /// The key of the data.
    pub data: String,
    /// How it is stored.
    pub compression: Compression,
    /// Bytes of the data, uncompressed.
    pub bytes: u64,
    /// Bytes of the data object.
    pub stored_bytes: u64,
    /// In the order in which they lie.
    pub messages: Vec<Indexed>,
}

/// Where a message lies in the uncompressed data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    /// The message.
    pub id: MessageId,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Names the request that sent it.
    pub correlation_id: Option<String>,
    /// Where its line begins.
    pub offset: u64,
    /// Bytes of its line, without the line break.
    pub length: u64,
}

impl Index {
    /// Reads an index.
    ///
    /// # Errors
    /// What is wrong with it, in words for an operator.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        // Another version may have other members, and must not be taken for damage.
        match serde_json::from_slice(text) {
            Ok(Versioned { version: VERSION }) => {}
            Ok(Versioned { version }) => return Err(format!("it has version {version}, this program reads {VERSION}")),
            Err(error) => return Err(format!("it is no index: {error}")),
        }
        let index: Self = serde_json::from_slice(text).map_err(|error| format!("it is no index: {error}"))?;
        let is_inside =
            |message: &Indexed| message.offset.checked_add(message.length).is_some_and(|end| end <= index.bytes);
        if index.bytes > MAX_BYTES || !index.messages.iter().all(is_inside) {
            return Err("it points outside its data".into());
        }
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn index() -> Value {
        json!({
            "version": 1, "data": "rollups/2025/06/09/x.ndjson", "compression": "none", "bytes": 9, "stored_bytes": 9,
            "messages": [{ "id": "a", "sent_at": "2025-06-09T10:30:45Z", "correlation_id": null, "offset": 0, "length": 8 }],
        })
    }

    #[test]
    fn an_index_is_read_back_and_a_wrong_one_says_why() {
        let read = Index::parse(index().to_string().as_bytes()).unwrap();
        assert_eq!((read.messages[0].id.0.as_str(), serde_json::to_value(&read).unwrap()), ("a", index()));
        let with = |name: &str, value: Value| {
            let mut changed = index();
            changed[name] = value;
            Index::parse(changed.to_string().as_bytes()).unwrap_err()
        };
        assert_eq!(with("version", json!(2)), "it has version 2, this program reads 1");
        assert_eq!(with("bytes", json!(7)), "it points outside its data");
        assert!(with("compression", json!("lz4")).starts_with("it is no index: "));
        assert!(Index::parse(&index().to_string().as_bytes()[..50]).unwrap_err().starts_with("it is no index: "));
    }

    #[test]
    fn the_parts_of_a_roll_up_are_known_by_their_keys() {
        let day = Date::constant(2025, 6, 9);
        for part in [Part::Index, Part::Data(Compression::None), Part::Data(Compression::Zstd)] {
            let key = part_key(day, "x", part).unwrap();
            assert_eq!(part_of(&key), Some(("rollups/2025/06/09/x", part)));
        }
        assert_eq!(part_of(&"rollups/2025/06/09/x.json".parse().unwrap()), None);
    }
}
