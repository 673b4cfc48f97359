//! Roll-ups: many messages in one object, under the rules of the pipeline.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::queue::{Attributes, Profile};
use chassis::ports::{MemoryObjects, MemoryQueue, NewMessage, ObjectError, ObjectKey, ObjectStore, Queue};
use chassis::testing::{TestApp, check_exposition, eventually};
use pipeline::archive::{Archive, Span};

use crate::faulty_objects::FaultyObjects;
use crate::faulty_queue::FaultyQueue;
use crate::kit::archiver_on;

const SQS: Profile = Profile { counts_releases: true, takes_stale_receipts: true, is_metered: true };
/// Neither is reached in a test.
const FAR: &str = "100MB,1h";

/// In real time; each message may be delivered once.
fn queue() -> Arc<MemoryQueue> {
    let clock = SystemClock::shared();
    MemoryQueue::new(Arc::clone(&clock), Ids::new(clock), 1)
}

fn start(queue: Arc<dyn Queue>, objects: Arc<dyn ObjectStore>, rollup: &'static str) -> TestApp {
    let settings = [("ARCHIVE_ROLLUP", rollup), ("MAX_RECEIVE_COUNT", "1"), ("ARCHIVE_CONCURRENCY", "2")];
    TestApp::start(|context| archiver_on(&queue, &objects, context, &settings))
}

async fn send(queue: &MemoryQueue, messages: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for number in 0..messages {
        let body = format!("{{\"number\":\r\n{number}}}");
        ids.insert(queue.send(NewMessage::new(body, Attributes::new())).await.unwrap().0);
    }
    ids
}

async fn received(queue: &MemoryQueue, messages: u64) {
    eventually("the receives", || async { (queue.stats().await.unwrap().in_flight == messages).then_some(()) }).await;
}

async fn empty(queue: &MemoryQueue) {
    eventually("an empty queue", || async {
        let stats = queue.stats().await.unwrap();
        (stats.visible + stats.in_flight == 0).then_some(())
    })
    .await;
    assert_eq!(queue.stats().await.unwrap().dead, Some(0));
}

/// The ids of all that is stored, each of which can be read, and is there once.
async fn stored(objects: &Arc<MemoryObjects>) -> BTreeSet<String> {
    let archive = Archive::new(Arc::clone(objects) as _);
    let (mut entries, mut ids) = (archive.entries(&Span::ALL), BTreeSet::new());
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        let record = archive.read(&entry).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&record).contains(r#""receive_count":1"#), "{record:?}");
        assert!(ids.insert(entry.id.0), "twice");
    }
    ids
}

/// Data and index objects, and those of single messages.
fn layouts(objects: &MemoryObjects) -> (usize, usize, usize) {
    let keys = objects.keys();
    let count = |is: &dyn Fn(&str) -> bool| keys.iter().filter(|key| is(key)).count();
    let index = count(&|key| key.ends_with(".index.json"));
    (count(&|key| key.starts_with("rollups/")) - index, index, count(&|key| key.starts_with("messages/")))
}

#[tokio::test]
async fn the_size_closes_roll_ups_and_the_end_the_last_one() {
    let (queue, objects) = (queue(), MemoryObjects::new());
    let ids = send(&queue, 50).await;
    let app = start(Arc::clone(&queue) as _, Arc::clone(&objects) as _, "2KB,1h");
    eventually("some roll-ups", || async { (layouts(&objects).1 >= 3).then_some(()) }).await;
    let page = app.get("/metrics").await.expect(200).text();
    let line = |line: &&str| line.starts_with("archive_rollups_total{reason=\"size\"") && !line.ends_with(" 0");
    assert!(page.lines().any(|text| line(&text)), "{page}");
    check_exposition(&page);
    app.shut_down().await;
    empty(&queue).await;
    assert_eq!(stored(&objects).await, ids);
    let (data, index, single) = layouts(&objects);
    assert!(data == index && data <= 15 && single == 0, "{data} {index} {single}");
}

#[tokio::test]
async fn the_age_closes_a_roll_up_and_more_are_held_than_are_worked_on() {
    let (queue, objects) = (queue(), MemoryObjects::new());
    let app = start(Arc::clone(&queue) as _, Arc::clone(&objects) as _, "100MB,700ms");
    let begun = Instant::now();
    let ids = send(&queue, 100).await;
    received(&queue, 100).await;
    assert_eq!(layouts(&objects), (0, 0, 0), "stored before its time");
    empty(&queue).await;
    assert!(begun.elapsed() >= Duration::from_millis(700));
    assert_eq!(stored(&objects).await, ids);
    assert_eq!(layouts(&objects), (1, 1, 0));
    app.shut_down().await;
}

#[tokio::test]
async fn the_end_stores_what_is_held_at_once_and_leaves_nothing_in_flight() {
    for profile in [Profile::default(), SQS] {
        let (inner, objects) = (queue(), MemoryObjects::new());
        let queue = Arc::new(FaultyQueue { profile, ..FaultyQueue::new(&inner) });
        let app = start(queue, Arc::clone(&objects) as _, FAR);
        let ids = send(&inner, 30).await;
        received(&inner, 30).await;
        let begun = Instant::now();
        app.shut_down().await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        empty(&inner).await;
        assert_eq!(stored(&objects).await, ids);
    }
}

#[tokio::test]
async fn an_outage_is_no_attempt_and_its_end_does_not_wait_for_the_age() {
    for profile in [Profile::default(), SQS] {
        let (inner, objects) = (queue(), MemoryObjects::new());
        let queue = Arc::new(FaultyQueue { profile, ..FaultyQueue::new(&inner) });
        let app = start(queue, Arc::clone(&objects) as _, "2KB,1h");
        objects.set_unavailable(true);
        let ids = send(&inner, 40).await;
        eventually("not ready", || async {
            let body = app.get("/ready").await.json();
            (body["dependencies"]["objects"]["status"] == "down").then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(inner.stats().await.unwrap().dead, Some(0));
        objects.set_unavailable(false);
        let open = 2000 / 200;
        eventually("most objects", || async { (stored(&objects).await.len() + open >= ids.len()).then_some(()) }).await;
        app.shut_down().await;
        empty(&inner).await;
        assert_eq!(stored(&objects).await, ids);
    }
}

#[tokio::test]
async fn the_end_during_an_outage_hands_messages_back_uncounted() {
    let (queue, objects) = (queue(), MemoryObjects::new());
    let app = start(Arc::clone(&queue) as _, Arc::clone(&objects) as _, FAR);
    send(&queue, 20).await;
    received(&queue, 20).await;
    objects.set_unavailable(true);
    app.shut_down().await;
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.in_flight, stats.visible + stats.delayed, stats.dead), (0, 20, Some(0)));
    objects.set_unavailable(false);
    assert!(stored(&objects).await.is_empty());
}

#[tokio::test]
async fn a_roll_up_that_cannot_be_written_condemns_none_of_its_messages() {
    let (queue, inner) = (queue(), MemoryObjects::new());
    let bad = Arc::new(std::sync::OnceLock::new());
    let seen = Arc::clone(&bad);
    let before_put =
        move |key: &ObjectKey| match key.as_str().starts_with("rollups/") || seen.get_or_init(|| key.clone()) == key {
            true => Err(ObjectError::Other("not this one".into())),
            false => Ok(()),
        };
    let objects = FaultyObjects { inner: Arc::clone(&inner), before_put };
    let app = start(Arc::clone(&queue) as _, Arc::new(objects), "100MB,300ms");
    let ids = send(&queue, 30).await;
    eventually("one dead letter", || async { (queue.stats().await.unwrap().dead == Some(1)).then_some(()) }).await;
    eventually("the others", || async { (layouts(&inner).2 == 29).then_some(()) }).await;
    let [letter] = &queue.dead_letters(10).await.unwrap()[..] else { panic!("more than one") };
    assert!(bad.get().unwrap().as_str().contains(&letter.id.0));
    assert!(stored(&inner).await.is_subset(&ids));
    let page = app.get("/metrics").await.expect(200).text();
    assert!(page.contains("archive_rollup_fallbacks_total{service=\"archiver\"} 1"), "{page}");
    app.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn roll_ups_that_fail_like_a_whole_store_become_single_objects() {
    let (queue, inner) = (queue(), MemoryObjects::new());
    let before_put = move |key: &ObjectKey| match key.as_str().starts_with("rollups/") {
        true => Err(ObjectError::Unavailable("permission denied".into())),
        false => Ok(()),
    };
    let objects = FaultyObjects { inner: Arc::clone(&inner), before_put };
    let app = start(Arc::clone(&queue) as _, Arc::new(objects), "100MB,10s");
    let ids = send(&queue, 5).await;
    let begun = tokio::time::Instant::now();
    while layouts(&inner).2 < ids.len() {
        assert!(begun.elapsed() < Duration::from_secs(300), "they are kept for ever");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    empty(&queue).await;
    assert_eq!(stored(&inner).await, ids);
    app.shut_down().await;
}

#[tokio::test]
async fn without_its_index_a_roll_up_is_stored_all_the_same() {
    let (queue, inner) = (queue(), MemoryObjects::new());
    let before_put = move |key: &ObjectKey| match key.as_str().ends_with(".index.json") {
        true => Err(ObjectError::Other("no index".into())),
        false => Ok(()),
    };
    let objects = FaultyObjects { inner: Arc::clone(&inner), before_put };
    let app = start(Arc::clone(&queue) as _, Arc::new(objects), "100MB,300ms");
    let ids = send(&queue, 20).await;
    empty(&queue).await;
    assert_eq!((stored(&inner).await, layouts(&inner)), (ids, (1, 0, 0)));
    app.shut_down().await;
}

#[tokio::test]
async fn a_panic_in_the_writer_ends_the_process() {
    let (queue, inner) = (queue(), MemoryObjects::new());
    let before_put = |_: &ObjectKey| panic!("the writer panics");
    let app = start(Arc::clone(&queue) as _, Arc::new(FaultyObjects { inner, before_put }), "100MB,100ms");
    send(&queue, 1).await;
    eventually("the end", || async { app.lifecycle.is_draining().then_some(()) }).await;
}

/// Hidden for three ages, a message needs no extension while it waits for its roll-up; in an outage it does.
#[tokio::test]
async fn waiting_for_a_roll_up_costs_no_heartbeat() {
    let (inner, objects) = (queue(), MemoryObjects::new());
    let extended = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&extended);
    let before_extend = Box::new(move |_: &_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let queue: Arc<dyn Queue> = Arc::new(FaultyQueue { before_extend, profile: SQS, ..FaultyQueue::new(&inner) });
    let port: Arc<dyn ObjectStore> = Arc::clone(&objects) as _;
    let settings = [("ARCHIVE_ROLLUP", "100MB,1s"), ("VISIBILITY_TIMEOUT", "1s")];
    let app = TestApp::start(|context| archiver_on(&queue, &port, context, &settings));
    for _ in 0..3 {
        send(&inner, 10).await;
        empty(&inner).await;
    }
    assert_eq!(extended.load(Ordering::Relaxed), 0);
    objects.set_unavailable(true);
    send(&inner, 10).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(extended.load(Ordering::Relaxed) > 0, "the leases ran out");
    objects.set_unavailable(false);
    app.shut_down().await;
    assert_eq!(inner.stats().await.unwrap().dead, Some(0));
}
