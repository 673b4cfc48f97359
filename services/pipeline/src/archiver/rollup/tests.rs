//! What a roll-up is made of, when it is closed, and what becomes of one that cannot be written.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::{List, MemoryObjects, ObjectStore, Put};
use chassis::telemetry::metrics::Metrics;

use super::*;
use crate::archive::{Archive, Span};
use crate::archiver::metrics::ArchiverMetrics;
use crate::archiver::store::Store;
use crate::model::compression::Compression;
use crate::model::rollup::{Part, part_of};

type Answer = oneshot::Receiver<Filed>;

/// A line of `bytes`, and who waits for it.
fn line(id: &str, sent_at: &str, bytes: usize) -> (Line, oneshot::Sender<Filed>, Answer) {
    let id = MessageId(id.into());
    let metadata = format!(r#""_metadata":{{"message_id":"{id}","sent_at":"{sent_at}","correlation_id":null}}"#);
    let filler = "x".repeat(bytes.saturating_sub(metadata.len() + 9));
    let (reply, answer) = oneshot::channel();
    let single = format!("messages/{}/{id}.json", &sent_at[..10].replace('-', "/")).parse().unwrap();
    let record = format!(r#"{{"x":"{filler}",{metadata}}}"#);
    (Line { id, sent_at: sent_at.parse().unwrap(), correlation_id: None, record, single }, reply, answer)
}

const NOON: &str = "2025-06-09T12:00:00Z";

fn open(size_bytes: usize) -> Open {
    let config = RollupConfig { size_bytes, age: Duration::from_secs(60), compression: Compression::None };
    Open { config, batches: Vec::new() }
}

fn add(open: &mut Open, id: &str, sent_at: &str, bytes: usize) -> Vec<(usize, Closing)> {
    let (line, reply, _) = line(id, sent_at, bytes);
    open.add(line, reply).iter().map(|(closed, why)| (closed.messages(), *why)).collect()
}

#[tokio::test]
async fn a_roll_up_is_closed_before_it_is_larger_than_it_may_be() {
    let mut open = open(1000);
    assert_eq!(add(&mut open, "a", NOON, 400), []);
    assert_eq!(add(&mut open, "b", NOON, 400), []);
    assert_eq!(add(&mut open, "c", NOON, 400), [(2, Closing::Size)]);
    assert_eq!(add(&mut open, "d", NOON, 598), [(2, Closing::Size)], "with its line breaks it is full");
    assert_eq!(add(&mut open, "e", NOON, 5000), [(1, Closing::Size)], "one that is larger by itself");
    assert!(open.batches.is_empty());
}

#[tokio::test]
async fn the_number_of_messages_closes_a_roll_up() {
    let mut open = open(1 << 30);
    for number in 1..MAX_MESSAGES {
        assert_eq!(add(&mut open, &number.to_string(), NOON, 0), []);
    }
    assert_eq!(add(&mut open, "last", NOON, 0), [(MAX_MESSAGES, Closing::Messages)]);
}

#[tokio::test]
async fn each_day_has_its_roll_up_and_the_oldest_makes_way() {
    let mut open = open(1000);
    for day in 1..=MAX_DAYS {
        assert_eq!(add(&mut open, "a", &format!("2025-06-0{day}T12:00:00Z"), 300), []);
    }
    assert_eq!(add(&mut open, "b", "2025-06-01T12:00:00Z", 300), [], "into the one that is open");
    assert_eq!(add(&mut open, "c", "2025-07-01T12:00:00Z", 300), [(2, Closing::Days)]);
    assert_eq!(open.batches.len(), MAX_DAYS);
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_first_message_closes_a_roll_up_and_sooner_in_a_hurry() {
    let mut open = open(1000);
    add(&mut open, "a", NOON, 0);
    tokio::time::sleep(Duration::from_secs(59)).await;
    add(&mut open, "b", NOON, 0);
    assert!(open.take_due(None).is_empty());
    assert_eq!(open.take_due(Some(Closing::Drain)).len(), 1);
    add(&mut open, "c", NOON, 0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let [(closed, Closing::Age)] = &open.take_due(None)[..] else { panic!("not closed") };
    assert_eq!(closed.messages(), 1);
}

#[tokio::test]
async fn a_message_that_is_delivered_twice_is_in_it_once() {
    let mut open = open(1 << 20);
    let mut answers = Vec::new();
    for id in ["a", "b", "a"] {
        let (line, reply, answer) = line(id, NOON, 0);
        assert!(open.add(line, reply).is_empty());
        answers.push(answer);
    }
    let closed = open.batches.remove(0).close();
    assert_eq!(closed.messages(), 2);
    closed.stored(&"rollups/x".parse().unwrap());
    let [first, other, again] = &mut answers[..] else { panic!() };
    assert!(matches!(first.try_recv().unwrap(), Filed::Stored { .. }));
    assert!(matches!(other.try_recv().unwrap(), Filed::Stored { .. }));
    assert!(matches!(again.try_recv().unwrap(), Filed::Duplicate { .. }));
}

/// A line over which larger objects do not come in time.
#[derive(Debug)]
struct SlowLine {
    inner: Arc<MemoryObjects>,
    fits: usize,
}

#[async_trait]
impl ObjectStore for SlowLine {
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes, content_type: &str) -> Result<Put, ObjectError> {
        if body.len() > self.fits {
            return Err(ObjectError::Timeout);
        }
        self.inner.put_if_absent(key, body, content_type).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError> {
        self.inner.get(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        self.inner.delete(key).await
    }

    fn list(&self, folder: Option<&ObjectKey>) -> List {
        self.inner.list(folder)
    }

    async fn ping(&self) -> Result<(), ObjectError> {
        self.inner.ping().await
    }
}

fn writer(objects: Arc<dyn ObjectStore>) -> Writer {
    Writer {
        store: Arc::new(Store::new(objects)),
        ids: Ids::new(SystemClock::shared()),
        compression: Compression::None,
        metrics: ArchiverMetrics::register(&Metrics::new("archiver", "1")).rollups,
        lifecycle: Lifecycle::new(),
        fits: AtomicUsize::new(usize::MAX),
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_counts_as_down_nothing_waits_for_its_age() {
    let objects = MemoryObjects::new();
    let writer = writer(Arc::clone(&objects) as _);
    let (lines, filings) = channel();
    let config = RollupConfig { size_bytes: 1 << 20, age: Duration::from_secs(3600), compression: Compression::None };
    objects.set_unavailable(true);
    let store = Arc::clone(&writer.store);
    store.put(&"a".parse().unwrap(), Bytes::new(), "").await.unwrap_err();
    let mut roller = tokio::task::JoinSet::new();
    roller.spawn(run(filings, writer, config, Lifecycle::new()));
    let begun = Instant::now();
    let (probe, ..) = line("a", NOON, 0);
    let heals = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        objects.set_unavailable(false);
    };
    let (filed, ()) = tokio::join!(lines.file(probe), heals);
    assert!(matches!(filed, Some(Filed::Stored { .. })), "{filed:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(!store.is_down());
}

#[tokio::test]
async fn what_is_not_written_in_time_is_written_in_halves() {
    let inner = MemoryObjects::new();
    let writer = writer(Arc::new(SlowLine { inner: Arc::clone(&inner), fits: 5 << 20 }));
    let mut open = open(1 << 30);
    let mut answers = Vec::new();
    for number in 0..16 {
        let (line, reply, answer) = line(&number.to_string(), NOON, 1 << 20);
        open.add(line, reply);
        answers.push(answer);
    }
    writer.write(open.batches.remove(0).close(), Closing::Age).await;
    for answer in &mut answers {
        assert!(matches!(answer.try_recv().unwrap(), Filed::Stored { .. }));
    }
    let keys = inner.keys();
    let data = keys.iter().map(|key| key.parse().unwrap());
    let data = data.filter(|key| matches!(part_of(key), Some((_, Part::Data(_)))));
    assert_eq!((data.count(), keys.len()), (4, 8));
    let archive = Archive::new(inner);
    let mut entries = archive.entries(&Span::ALL);
    let mut count = 0;
    while let Some(entry) = entries.next().await {
        assert!(archive.read(&entry.unwrap()).await.unwrap().is_some());
        count += 1;
    }
    assert_eq!(count, 16);
}
