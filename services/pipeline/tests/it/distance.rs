//! The archiver on a queue at a distance, where each call is paid for and deliveries that are handed back count.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::queue::{Attributes, Profile};
use chassis::ports::{MemoryObjects, MemoryQueue, NewMessage, ObjectError, ObjectKey, ObjectStore, Queue};
use chassis::testing::{TestApp, eventually};

use crate::faulty_objects::FaultyObjects;
use crate::faulty_queue::FaultyQueue;
use crate::kit::archiver_on;

const SQS: Profile = Profile { counts_releases: true, takes_stale_receipts: true, is_metered: true };
/// More than what is received at once.
const MESSAGES: usize = 200;

/// Each message may be delivered once.
fn inner() -> Arc<MemoryQueue> {
    let clock = SystemClock::shared();
    MemoryQueue::new(Arc::clone(&clock), Ids::new(clock), 1)
}

async fn send(queue: &MemoryQueue, messages: usize) {
    for _ in 0..messages {
        queue.send(NewMessage::new("{}", Attributes::new())).await.unwrap();
    }
}

fn start(queue: &Arc<FaultyQueue>, objects: Arc<dyn ObjectStore>) -> TestApp {
    start_with(queue, objects, &[("MAX_RECEIVE_COUNT", "1")])
}

fn start_with(
    queue: &Arc<FaultyQueue>,
    objects: Arc<dyn ObjectStore>,
    settings: &[(&'static str, &'static str)],
) -> TestApp {
    let queue: Arc<dyn Queue> = Arc::clone(queue) as _;
    TestApp::start(|context| archiver_on(&queue, &objects, context, settings))
}

#[tokio::test]
async fn many_calls_are_under_way_while_there_is_much_to_do_and_one_while_there_is_nothing() {
    let inner = inner();
    send(&inner, MESSAGES).await;
    let queue = Arc::new(FaultyQueue { profile: SQS, way: Duration::from_millis(50), ..FaultyQueue::new(&inner) });
    let stored = MemoryObjects::new();
    let app = start(&queue, Arc::clone(&stored) as _);
    eventually("an empty queue", || async {
        let stats = inner.stats().await.unwrap();
        (stats.visible + stats.in_flight == 0).then_some(())
    })
    .await;
    assert_eq!(stored.keys().len(), MESSAGES);
    assert!(queue.receives.most() > 1, "one receive at a time");
    assert!(queue.deletes.most() > 1, "one delete at a time");
    // The others wait for their 20 s to end, which a message ends sooner.
    for more in 1.. {
        assert!(more < 20, "more than one receive from an empty queue");
        send(&inner, 1).await;
        eventually("its object", || async { (stored.keys().len() == MESSAGES + more).then_some(()) }).await;
        eventually("an empty queue", || async {
            let stats = inner.stats().await.unwrap();
            (stats.visible + stats.in_flight == 0).then_some(())
        })
        .await;
        if queue.receives.now() == 1 {
            break;
        }
    }
    app.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_receive_brings_when_the_drain_has_begun_is_handed_back() {
    let inner = inner();
    let queue = Arc::new(FaultyQueue { profile: SQS, way: Duration::from_millis(300), ..FaultyQueue::new(&inner) });
    let stored = MemoryObjects::new();
    let app = start(&queue, Arc::clone(&stored) as _);
    send(&inner, 5).await;
    while inner.stats().await.unwrap().in_flight < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    app.shut_down().await;
    assert_eq!(stored.keys().len(), 0, "none had been begun");
    let stats = inner.stats().await.unwrap();
    assert_eq!((stats.visible, stats.in_flight, stats.dead), (5, 0, Some(0)));
}

/// On such a queue a message is kept while the store is down. One that fails for itself must not be kept for ever, nor
/// have the only place.
async fn a_message_fails_for_itself(concurrency: &'static str) {
    let inner = inner();
    send(&inner, 1).await;
    let stored = MemoryObjects::new();
    let first = OnceLock::new();
    let before_put = move |key: &ObjectKey| match first.get_or_init(|| key.clone()) == key {
        true => Err(ObjectError::Unavailable("503".into())),
        false => Ok(()),
    };
    let queue = Arc::new(FaultyQueue { profile: SQS, ..FaultyQueue::new(&inner) });
    let objects = Arc::new(FaultyObjects { inner: Arc::clone(&stored), before_put });
    let app = start_with(&queue, objects, &[("MAX_RECEIVE_COUNT", "1"), ("ARCHIVE_CONCURRENCY", concurrency)]);
    eventually("the receive", || async { (inner.stats().await.unwrap().in_flight == 1).then_some(()) }).await;
    let mut sent = 0;
    while inner.stats().await.unwrap().dead == Some(0) {
        send(&inner, 5).await;
        sent += 5;
        assert!(sent < 5_000, "it is kept for ever");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    eventually("the others", || async { (stored.keys().len() == sent).then_some(()) }).await;
    let [letter] = &inner.dead_letters(10).await.unwrap()[..] else { panic!("more than one") };
    assert!(letter.reason.contains("while others were stored"), "{}", letter.reason);
    app.shut_down().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_for_itself_holds_up_no_others_and_is_given_up() {
    a_message_fails_for_itself("64").await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_for_itself_does_not_keep_the_only_place() {
    a_message_fails_for_itself("1").await;
}

/// Nineteen of twenty writes are refused, for a quarter of an hour.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_short_of_breath_condemns_no_message() {
    let inner = inner();
    let stored = MemoryObjects::new();
    let puts = AtomicUsize::new(0);
    let before_put = move |_: &ObjectKey| match puts.fetch_add(1, Ordering::Relaxed) % 20 {
        0 => Ok(()),
        _ => Err(ObjectError::Unavailable("SlowDown".into())),
    };
    let queue = Arc::new(FaultyQueue { profile: SQS, ..FaultyQueue::new(&inner) });
    let app = start(&queue, Arc::new(FaultyObjects { inner: Arc::clone(&stored), before_put }));
    for _ in 0..900 {
        send(&inner, 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(inner.stats().await.unwrap().dead, Some(0));
    assert!(stored.keys().len() > 100, "nothing was stored");
    app.shut_down().await;
}
