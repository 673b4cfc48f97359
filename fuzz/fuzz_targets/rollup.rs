//! A roll-up as `keelson archive` reads it, whatever lies in the store: each message is shown once and is the one that
//! it is said to be, the rest is named as damage, and little of memory is taken for it.
#![no_main]

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use chassis::ports::{MemoryObjects, ObjectStore as _};
use jiff::civil::Date;
use libfuzzer_sys::fuzz_target;
use pipeline::archive::{Archive, ArchiveError, Span};
use pipeline::model::compression::Compression;
use pipeline::model::record::stored;
use pipeline::model::rollup::{Index, MAX_BYTES, Part, part_key};
use tokio::runtime::Runtime;

const DAY: Date = Date::constant(2025, 6, 9);
/// Lines that are read of data without an index.
const MAX_LINES: usize = 100_000;
/// Messages that are fetched of a roll-up; the others are listed.
const READ: usize = 100;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime"));

// Switches, then the index, an empty byte, and the data.
fuzz_target!(|input: &[u8]| {
    let Some((switches, parts)) = input.split_first() else { return };
    let mut parts = parts.splitn(2, |byte| *byte == 0);
    let (index, data) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_on = |bit: u8| switches >> bit & 1 == 1;
    let compression = if is_on(0) { Compression::Zstd } else { Compression::None };
    // What the fuzzer compressed itself may be of any length.
    let is_readable = is_on(1) || !is_on(0);
    let lines = if is_readable { data.iter().filter(|byte| **byte == b'\n').count() } else { MAX_LINES };
    // A fuzzer makes no checksums: whole frames come from here, broken ones from it.
    let data = if is_on(1) { compression.compress(data).expect("there is memory") } else { data.to_vec() };
    let index = if is_on(2) { fitted(index, data.len()) } else { index.to_vec() };

    check_parse(&index);
    let objects = MemoryObjects::new();
    RUNTIME.block_on(async {
        let put = async |part, body: Vec<u8>| {
            let key = part_key(DAY, "x", part).expect("a key");
            objects.put_if_absent(&key, body.into(), "application/json").await.expect("memory takes it");
        };
        if !is_on(3) {
            put(Part::Index, index).await;
        }
        put(Part::Data(compression), data).await;
        look(Archive::new(Arc::clone(&objects) as _), lines).await;
    });
});

/// An index that was read points into its data, and is the same when it is written again.
fn check_parse(text: &[u8]) {
    match Index::parse(text) {
        Ok(index) => {
            assert!(index.bytes <= MAX_BYTES);
            assert!(index.messages.iter().all(|it| it.offset <= index.bytes && it.length <= index.bytes - it.offset));
            let again = serde_json::to_vec(&index).expect("an index is JSON");
            assert_eq!(Index::parse(&again).as_ref(), Ok(&index));
        }
        Err(problem) => assert!(!problem.is_empty()),
    }
}

/// The same index with the size that the data has: nothing else gets past that comparison.
fn fitted(text: &[u8], stored_bytes: usize) -> Vec<u8> {
    match Index::parse(text) {
        Ok(index) => {
            let index = Index { stored_bytes: stored_bytes as u64, ..index };
            serde_json::to_vec(&index).expect("an index is JSON")
        }
        Err(_) => text.to_vec(),
    }
}

async fn look(archive: Archive, lines: usize) {
    let mut entries = archive.entries(&Span::day(DAY));
    let (mut ids, mut damaged, mut read) = (HashSet::new(), 0, 0);
    while let Some(found) = entries.next().await {
        let entry = match found {
            Ok(entry) => entry,
            Err(error) => {
                assert!(matches!(error, ArchiveError::Damaged { .. }), "the store is well: {error}");
                damaged += 1;
                continue;
            }
        };
        assert!(entry.day == DAY && entry.is_in_rollup(), "{entry:?}");
        assert!(ids.insert(entry.id.clone()), "{} is there twice", entry.id);
        if read < READ {
            read += 1;
            match archive.read(&entry).await {
                Ok(record) => {
                    let record = record.expect("its object is there");
                    assert_eq!(record.len() as u64, entry.size_bytes);
                    assert_eq!(stored(&record).map(|stored| stored.message_id), Some(entry.id));
                }
                Err(error) => assert!(matches!(error, ArchiveError::Damaged { .. }), "the store is well: {error}"),
            }
        }
    }
    // Damage is told once for all lines in a row, and between two rows stands a record, which may be one of before.
    let most = ids.len() + lines / 2 + 4;
    assert!(damaged <= most, "{damaged} complaints about {} messages in {lines} lines", ids.len());
}
