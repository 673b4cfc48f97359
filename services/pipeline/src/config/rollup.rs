//! How roll-ups are configured.

use std::time::Duration;

use chassis::config::{FromText, OptionalSetting, Reader, Setting};

use crate::model::compression::Compression;

pub(super) const ARCHIVE_ROLLUP: OptionalSetting<Limits> = OptionalSetting::new(
    "ARCHIVE_ROLLUP",
    "Stores many messages as one object, a line each: a size (of the lines, before they are compressed) and an age (of the first message), of which the first to be reached closes the object, such as `100MB,60s`. 10000 messages close it too. Messages stay on the queue until their object is there, hidden for three times the age; about five times the size is held in memory. Unset, each message has an object of its own.",
);
pub(super) const ARCHIVE_ROLLUP_COMPRESSION: Setting<Compression> = Setting::new(
    "ARCHIVE_ROLLUP_COMPRESSION",
    "none",
    "How objects of `ARCHIVE_ROLLUP` are stored: `none` or `zstd`. `keelson archive` reads both.",
);

/// How many ages a message of a roll-up stays hidden: the lease of one that came first is not extended before its
/// roll-up is closed and written.
pub const HIDDEN_AGES: u32 = 3;

/// What closes a roll-up, and how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollupConfig {
    /// Bytes of its data, uncompressed.
    pub size_bytes: usize,
    /// Time since its first message.
    pub age: Duration,
    /// `ARCHIVE_ROLLUP_COMPRESSION`.
    pub compression: Compression,
}

impl RollupConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let limits = reader.get_optional(&ARCHIVE_ROLLUP);
        let compression = reader.get(&ARCHIVE_ROLLUP_COMPRESSION);
        if compression != Compression::None && !reader.is_set(&ARCHIVE_ROLLUP.info) {
            reader.refuse(&ARCHIVE_ROLLUP_COMPRESSION.info, "`ARCHIVE_ROLLUP` beside it, or it unset");
        }
        limits.map(|Limits { size_bytes, age }| Self { size_bytes, age, compression })
    }
}

/// `ARCHIVE_ROLLUP` as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    size_bytes: usize,
    age: Duration,
}

const SIZES: std::ops::RangeInclusive<usize> = 1_000..=1_000_000_000;
const AGES: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60 * 60);

impl FromText for Limits {
    const EXPECTED: &'static str = "a size from 1KB to 1GB and an age from 100ms to 1h, such as `100MB,60s` (on SQS the messages of an archiver that was killed come back after three times the age, so it has an end)";

    fn from_text(text: &str) -> Option<Self> {
        let (size, age) = text.split_once(',')?;
        let limits = Self { size_bytes: bytes(size.trim())?, age: Duration::from_text(age.trim())? };
        (SIZES.contains(&limits.size_bytes) && AGES.contains(&limits.age)).then_some(limits)
    }
}

fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use chassis::config::Layers;

    use super::super::ArchiverConfig;
    use super::*;

    fn read(settings: &[(&'static str, &str)]) -> Result<ArchiverConfig, String> {
        let layers = Layers::of(settings);
        let mut reader = Reader::new(&layers);
        let config = ArchiverConfig::read(&mut reader);
        reader.finish(config).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_roll_up_has_a_size_and_an_age_and_hides_messages_for_longer() {
        assert_eq!(read(&[]).unwrap().rollup, None);
        let config = read(&[("ARCHIVE_ROLLUP", "100MB, 60s"), ("ARCHIVE_ROLLUP_COMPRESSION", "zstd")]).unwrap();
        let expected =
            RollupConfig { size_bytes: 100_000_000, age: Duration::from_secs(60), compression: Compression::Zstd };
        assert_eq!((config.rollup, config.visibility), (Some(expected), Duration::from_secs(180)));
        let short = read(&[("ARCHIVE_ROLLUP", "64KiB,2s"), ("VISIBILITY_TIMEOUT", "30s")]).unwrap();
        assert_eq!((short.rollup.unwrap().size_bytes, short.visibility), (65_536, Duration::from_secs(30)));
    }

    #[test]
    fn a_wrong_roll_up_is_a_mistake_that_says_why() {
        for wrong in ["on", "100MB", "100MB,", ",60s", "10 parsecs,60s", "999,60s", "2GB,60s", "1MB,2h", "1MB,1ms"] {
            let mistake = read(&[("ARCHIVE_ROLLUP", wrong)]).unwrap_err();
            assert!(mistake.contains("a size from 1KB to 1GB") && mistake.contains("killed"), "{wrong}: {mistake}");
        }
        let mistake = read(&[("ARCHIVE_ROLLUP_COMPRESSION", "zstd")]).unwrap_err();
        assert!(mistake.contains("expected `ARCHIVE_ROLLUP` beside it"), "{mistake}");
        let mistake = read(&[("ARCHIVE_ROLLUP", "1MB,1s"), ("ARCHIVE_ROLLUP_COMPRESSION", "gzip")]).unwrap_err();
        assert!(mistake.contains("expected `none` or `zstd`"), "{mistake}");
    }
}
