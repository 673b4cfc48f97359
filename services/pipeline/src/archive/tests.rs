use std::sync::Arc;

use chassis::ports::queue::Attributes;
use chassis::ports::{List, MemoryObjects, Message, Put, Receipt};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::*;
use crate::model::compression::Compression;
use crate::model::record::{object_key, on_one_line, record, stored};
use crate::model::rollup::{Index, Indexed, Part, VERSION, part_key};

const NOON: &str = "2025-06-09T12:00:00Z";
const NEXT_DAY: &str = "2025-06-10T12:00:00Z";

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn today() -> Date {
    day("2025-06-20")
}

/// A store and what is put into it.
struct Kit(Arc<MemoryObjects>);

impl Kit {
    fn new() -> Self {
        Self(MemoryObjects::new())
    }

    fn archive(&self) -> Archive {
        Archive::new(Arc::clone(&self.0) as _)
    }

    async fn put(&self, key: &ObjectKey, body: impl Into<Bytes>) {
        self.0.put_if_absent(key, body.into(), "application/json").await.unwrap();
    }

    async fn single(&self, id: &str, sent_at: &str) {
        let key = object_key(&MessageId(id.into()), sent_at.parse().unwrap()).unwrap();
        self.put(&key, record_of(id, sent_at)).await;
    }

    /// A roll-up of messages of one moment. Answers the keys of index and data.
    async fn rollup(
        &self,
        name: &str,
        ids: &[&str],
        sent_at: &str,
        compression: Compression,
    ) -> (ObjectKey, ObjectKey) {
        let (mut data, mut messages) = (String::new(), Vec::new());
        for id in ids {
            let line = on_one_line(record_of(id, sent_at));
            let found = stored(line.as_bytes()).unwrap();
            let (offset, length) = (data.len() as u64, line.len() as u64);
            let (id, sent_at, correlation_id) = (found.message_id, found.sent_at, found.correlation_id);
            messages.push(Indexed { id, sent_at, correlation_id, offset, length });
            data.push_str(&line);
            data.push('\n');
        }
        let key = |part| part_key(day(&sent_at[..10]), name, part).unwrap();
        let (index_key, data_key) = (key(Part::Index), key(Part::Data(compression)));
        let body = compression.compress(data.as_bytes()).unwrap();
        let (bytes, stored_bytes) = (data.len() as u64, body.len() as u64);
        let index = Index { version: VERSION, data: data_key.to_string(), compression, bytes, stored_bytes, messages };
        self.put(&data_key, body).await;
        self.put(&index_key, serde_json::to_vec(&index).unwrap()).await;
        (index_key, data_key)
    }

    async fn replace(&self, key: &ObjectKey, body: impl Into<Bytes>) {
        self.0.delete(key).await.unwrap();
        self.put(key, body).await;
    }
}

fn record_of(id: &str, sent_at: &str) -> String {
    let message = Message {
        id: MessageId(id.into()),
        receipt: Receipt("r".into()),
        body: json!({ "text": format!("of {id}") }).to_string().replace(':', " :\r\n "),
        attributes: Attributes::from([("correlation_id".to_owned(), format!("cid-{id}"))]),
        sent_at: sent_at.parse().unwrap(),
        receive_count: 1,
    };
    record(&message, message.sent_at).unwrap()
}

/// The ids that are shown, and what is said to be damaged.
async fn looked(archive: &Archive, span: Span) -> (Vec<String>, Vec<String>) {
    let (mut ids, mut damaged) = (Vec::new(), Vec::new());
    let mut entries = archive.entries(&span);
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(entry) => ids.push(entry.id.0),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    (ids, damaged)
}

#[tokio::test]
async fn both_layouts_are_shown_in_the_order_of_days_and_each_message_once() {
    let kit = Kit::new();
    kit.single("c", NEXT_DAY).await;
    kit.single("a", NOON).await;
    kit.single("b", NOON).await;
    kit.rollup("1", &["x", "b"], NOON, Compression::Zstd).await;
    kit.rollup("2", &["y", "x"], NOON, Compression::None).await;
    kit.rollup("3", &["x", "c"], NEXT_DAY, Compression::None).await;
    kit.put(&"messages/notes.txt".parse().unwrap(), "somebody else's").await;
    kit.put(&"rollups/2025/06/09/notes.txt".parse().unwrap(), "somebody else's").await;
    let archive = kit.archive();
    let (ids, damaged) = looked(&archive, Span::ALL).await;
    assert_eq!((ids.join(" "), damaged), ("x b y a x c".to_owned(), Vec::new()));
    assert_eq!(looked(&archive, Span::day(day("2025-06-10"))).await.0, ["x", "c"]);
    assert_eq!(looked(&archive, Span::between(None, Some(day("2025-06-09")), today())).await.0.join(" "), "x b y a");
    assert_eq!(looked(&archive, Span::between(Some(day("2025-06-10")), None, today())).await.0, ["x", "c"]);
}

#[tokio::test]
async fn the_records_are_read_back_as_they_are() {
    let kit = Kit::new();
    kit.single("a", NOON).await;
    kit.rollup("1", &["x", "y"], NOON, Compression::Zstd).await;
    kit.rollup("2", &["z"], NOON, Compression::None).await;
    let archive = kit.archive();
    let mut entries = archive.entries(&Span::ALL);
    let mut seen = 0;
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        let whole = record_of(&entry.id.0, NOON);
        let expected = if entry.is_in_rollup() { on_one_line(whole) } else { whole };
        assert_eq!(entry.size_bytes, expected.len() as u64);
        assert_eq!(archive.read(&entry).await.unwrap().unwrap(), expected);
        let cid = format!("cid-{}", entry.id);
        assert_eq!(entry.correlation_id(), entry.is_in_rollup().then_some(Some(cid.as_str())));
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[tokio::test]
async fn a_roll_up_without_its_index_is_read_itself() {
    for compression in [Compression::None, Compression::Zstd] {
        let kit = Kit::new();
        let (index, _) = kit.rollup("1", &["x", "y"], NOON, compression).await;
        kit.0.delete(&index).await.unwrap();
        assert_eq!(looked(&kit.archive(), Span::ALL).await, (vec!["x".into(), "y".into()], Vec::new()));
        let found = kit.archive().find(&MessageId("y".into()), &Span::ALL, today()).await.unwrap();
        assert_eq!(found.message.unwrap().1, on_one_line(record_of("y", NOON)));
    }
}

#[tokio::test]
async fn what_is_damaged_is_named_and_the_rest_is_shown() {
    let kit = Kit::new();
    kit.single("a", NOON).await;
    let (index, _) = kit.rollup("1", &["p"], NOON, Compression::Zstd).await;
    kit.replace(&index, "{\"version\":1,").await;
    let (index, _) = kit.rollup("2", &["q"], NOON, Compression::None).await;
    kit.replace(&index, "{\"version\":7}").await;
    let (_, truncated) = kit.rollup("3", &["r"], NOON, Compression::Zstd).await;
    kit.replace(&truncated, "x").await;
    let (_, gone) = kit.rollup("4", &["s"], NOON, Compression::None).await;
    kit.0.delete(&gone).await.unwrap();
    let (index, broken) = kit.rollup("5", &["t", "u"], NOON, Compression::None).await;
    kit.0.delete(&index).await.unwrap();
    let whole = kit.0.get(&broken).await.unwrap().unwrap();
    kit.replace(&broken, whole.slice(..whole.len() - 9)).await;
    let (ids, damaged) = looked(&kit.archive(), Span::ALL).await;
    assert_eq!(ids.join(" "), "p q t a");
    let expected = [
        "1.index.json: it is no index",
        "2.index.json: it has version 7",
        "3.ndjson.zst: it has 1 bytes",
        "3.ndjson.zst: it cannot be decompressed",
        "4.index.json: its data rollups/2025/06/09/4.ndjson is not there",
        "5.ndjson: line 2 is no whole record",
    ];
    assert_eq!(damaged.len(), expected.len(), "{damaged:?}");
    for (found, expected) in damaged.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
}

/// Some kilobytes that decompress to a hundred million line breaks must not become as many complaints.
#[tokio::test]
async fn damage_is_told_once_for_all_lines_in_a_row_and_lines_have_an_end() {
    let kit = Kit::new();
    let (index, data) = kit.rollup("1", &["x", "y"], NOON, Compression::Zstd).await;
    kit.0.delete(&index).await.unwrap();
    let whole = Compression::Zstd.decompress(&kit.0.get(&data).await.unwrap().unwrap(), 10_000).unwrap();
    let (first, second) = whole.split_at(whole.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    let replaced = async |parts: &[&[u8]]| {
        kit.replace(&data, Compression::Zstd.compress(&parts.concat()).unwrap()).await;
        looked(&kit.archive(), Span::ALL).await
    };
    let (ids, damaged) = replaced(&[b"{}\n\n", first, b"x\n", second, b"x\nx"]).await;
    assert_eq!(ids, ["x", "y"]);
    let expected =
        ["lines 1 to 2 are no whole records", "line 4 is no whole record", "lines 6 to 7 are no whole records"];
    assert!(damaged.len() == 3 && damaged.iter().zip(expected).all(|(it, end)| it.ends_with(end)), "{damaged:?}");

    let (ids, damaged) = replaced(&[first, &b"\n".repeat(100_000_000), second]).await;
    assert_eq!(ids, ["x"]);
    let expected = ["lines 2 to 100000 are no whole records", "it has more than 100000 lines"];
    assert!(damaged.len() == 2 && damaged.iter().zip(expected).all(|(it, end)| it.ends_with(end)), "{damaged:?}");
}

#[tokio::test]
async fn an_index_that_points_elsewhere_shows_nothing_wrong() {
    let kit = Kit::new();
    let (_, data) = kit.rollup("1", &["x", "y"], NOON, Compression::None).await;
    let text = String::from_utf8(kit.0.get(&data).await.unwrap().unwrap().to_vec()).unwrap();
    let swapped: String = text.lines().rev().map(|line| format!("{line}\n")).collect();
    kit.replace(&data, swapped).await;
    let archive = kit.archive();
    let entry = archive.entries(&Span::ALL).next().await.unwrap().unwrap();
    let error = archive.read(&entry).await.unwrap_err().to_string();
    assert!(error.contains("the record of x is not where it should be"), "{error}");
}

#[tokio::test]
async fn a_message_is_found_by_its_id_wherever_it_is() {
    let kit = Kit::new();
    // Of 2025-06-09T23:59:59.999Z.
    let v7 = "01975722-fbff-7000-8000-000000000001";
    kit.single(v7, "2025-06-10T00:00:00.001Z").await;
    kit.single("old", "2025-03-01T00:00:00Z").await;
    kit.rollup("1", &["x", "y"], NOON, Compression::Zstd).await;
    let archive = kit.archive();
    let find = async |id: &str, span: Span| {
        let found = archive.find(&MessageId(id.into()), &span, today()).await.unwrap();
        found.message.map(|(entry, record)| (entry.object.to_string(), stored(&record).unwrap().message_id.0))
    };
    for (id, object) in [
        (v7, "messages/2025/06/10/01975722-fbff-7000-8000-000000000001.json"),
        ("old", "messages/2025/03/01/old.json"),
        ("y", "rollups/2025/06/09/1.ndjson.zst"),
    ] {
        assert_eq!(find(id, Span::ALL).await, Some((object.to_owned(), id.to_owned())));
    }
    assert_eq!(find("y", Span::day(day("2025-06-10"))).await, None);
    assert_eq!(find("unknown", Span::ALL).await, None);
    kit.0.set_unavailable(true);
    assert!(archive.find(&MessageId("old".into()), &Span::ALL, today()).await.is_err());
}

#[tokio::test]
async fn a_store_that_fails_ends_the_look() {
    let kit = Kit::new();
    kit.rollup("1", &["x"], NOON, Compression::None).await;
    let archive = kit.archive();
    kit.0.set_unavailable(true);
    let mut entries = archive.entries(&Span::ALL);
    assert!(matches!(entries.next().await, Some(Err(ArchiveError::Store(_)))));
    assert!(entries.next().await.is_none());
}

/// Deletes both parts of a roll-up when its data is asked for, as an expiry does between two reads.
#[derive(Debug)]
struct Expiring {
    objects: Arc<MemoryObjects>,
    parts: [ObjectKey; 2],
}

#[async_trait::async_trait]
impl ObjectStore for Expiring {
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes, content_type: &str) -> Result<Put, ObjectError> {
        self.objects.put_if_absent(key, body, content_type).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError> {
        if *key == self.parts[1] {
            for part in &self.parts {
                self.objects.delete(part).await?;
            }
        }
        self.objects.get(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        self.objects.delete(key).await
    }

    /// The index alone, as a list shows it whose data is deleted before it comes there.
    fn list(&self, folder: Option<&ObjectKey>) -> List {
        let data = self.parts[1].clone();
        self.objects.list(folder).try_filter(move |found| std::future::ready(found.key != data)).boxed()
    }

    async fn ping(&self) -> Result<(), ObjectError> {
        self.objects.ping().await
    }
}

#[tokio::test]
async fn a_roll_up_that_expires_while_it_is_read_is_no_damage() {
    let kit = Kit::new();
    let (index, data) = kit.rollup("1", &["x"], NOON, Compression::None).await;
    kit.single("a", NOON).await;
    let expiring = Expiring { objects: Arc::clone(&kit.0), parts: [index, data] };
    let archive = Archive::new(Arc::new(expiring));
    assert_eq!(looked(&archive, Span::ALL).await, (vec!["a".to_owned()], Vec::new()));
}
