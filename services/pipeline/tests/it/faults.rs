//! The archiver beside a queue or an object store that misbehaves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chassis::clock::SystemClock;
use chassis::config::Lifetimes;
use chassis::ids::Ids;
use chassis::lifecycle::Ending;
use chassis::ports::queue::Attributes;
use chassis::ports::{
    MemoryObjects, MemoryQueue, NewMessage, ObjectError, ObjectKey, ObjectStore, Queue, QueueError, Receipt,
};
use chassis::testing::{TestApp, eventually};

use crate::faulty_objects::FaultyObjects;
use crate::faulty_queue::FaultyQueue;
use crate::kit::archiver_on;

/// In real time, which the heartbeat lives in too.
fn queue() -> Arc<MemoryQueue> {
    let clock = SystemClock::shared();
    MemoryQueue::new(Arc::clone(&clock), Ids::new(clock), 3)
}

fn start(queue: Arc<dyn Queue>, objects: Arc<dyn ObjectStore>) -> TestApp {
    start_with(queue, objects, &[("VISIBILITY_TIMEOUT", "1s")])
}

fn start_with(
    queue: Arc<dyn Queue>,
    objects: Arc<dyn ObjectStore>,
    settings: &[(&'static str, &'static str)],
) -> TestApp {
    TestApp::start(|context| archiver_on(&queue, &objects, context, settings))
}

async fn send(queue: &MemoryQueue) {
    queue.send(NewMessage::new("{}", Attributes::new())).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_the_work_on_a_message_does_not_keep_it_hidden() {
    let (queue, stored) = (queue(), MemoryObjects::new());
    let panicked = AtomicBool::new(false);
    let before_put = move |_: &ObjectKey| {
        assert!(panicked.swap(true, Ordering::Relaxed), "the first put panics");
        Ok(())
    };
    let objects = FaultyObjects { inner: Arc::clone(&stored), before_put };
    let app = start(Arc::clone(&queue) as _, Arc::new(objects));
    send(&queue).await;
    eventually("the object", || async { (stored.keys().len() == 1).then_some(()) }).await;
    app.shut_down().await;
}

/// The process ends by itself, with a failure.
async fn fails(app: &TestApp) {
    let lifetimes = Lifetimes { drain_delay: Duration::ZERO, shutdown_grace: Duration::from_secs(5) };
    let ending = tokio::time::timeout(Duration::from_secs(10), app.lifecycle.run_to_end(lifetimes));
    let ending = ending.await.expect("the process goes on as if nothing had happened").unwrap();
    assert_eq!(ending, Ending::Failed("task `archiver` ended unexpectedly".into()));
}

#[tokio::test]
async fn the_process_ends_when_the_deleter_does() {
    let inner = queue();
    let before_delete = Box::new(|_: &_| panic!("the deleter panics"));
    let queue = FaultyQueue { before_delete, ..FaultyQueue::new(&inner) };
    let app = start(Arc::new(queue), MemoryObjects::new());
    send(&inner).await;
    fails(&app).await;
}

#[tokio::test]
async fn the_process_ends_when_the_heartbeat_does() {
    let inner = queue();
    let deny = Box::new(|_: &_| Err(QueueError::Other("not now".into())));
    let before_extend = Box::new(|_: &_| panic!("the heartbeat panics"));
    let queue = FaultyQueue { before_delete: deny, before_extend, ..FaultyQueue::new(&inner) };
    let app = start(Arc::new(queue), MemoryObjects::new());
    send(&inner).await;
    fails(&app).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_deleted_holds_up_neither_the_others_nor_the_end() {
    let inner = queue();
    let first = OnceLock::new();
    let before_delete = Box::new(move |receipt: &Receipt| match first.get_or_init(|| receipt.clone()) == receipt {
        true => Err(QueueError::Other("not this one".into())),
        false => Ok(()),
    });
    let app = start(Arc::new(FaultyQueue { before_delete, ..FaultyQueue::new(&inner) }), MemoryObjects::new());
    let begun = Instant::now();
    for _ in 0..50 {
        send(&inner).await;
    }
    eventually("the deletion of the others", || async {
        let stats = inner.stats().await.unwrap();
        (stats.visible + stats.in_flight == 1).then_some(())
    })
    .await;
    app.shut_down().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_message_that_could_not_be_deleted_at_first_is_deleted_later() {
    let inner = queue();
    let failures = AtomicUsize::new(0);
    let before_delete = Box::new(move |_: &Receipt| match failures.fetch_add(1, Ordering::Relaxed) {
        0 => Err(QueueError::Other("not yet".into())),
        _ => Ok(()),
    });
    let app = start(Arc::new(FaultyQueue { before_delete, ..FaultyQueue::new(&inner) }), MemoryObjects::new());
    send(&inner).await;
    eventually("an empty queue", || async {
        let stats = inner.stats().await.unwrap();
        (stats.visible + stats.in_flight == 0).then_some(())
    })
    .await;
    app.shut_down().await;
}

/// A disk that queue and objects share is full for longer than a message is hidden, and may be delivered once.
#[tokio::test]
async fn a_message_that_cannot_be_handed_back_is_kept_and_not_counted() {
    let clock = SystemClock::shared();
    let (inner, stored) = (MemoryQueue::new(Arc::clone(&clock), Ids::new(clock), 1), MemoryObjects::new());
    let is_full = Arc::new(AtomicBool::new(true));
    let (of_queue, of_objects) = (Arc::clone(&is_full), Arc::clone(&is_full));
    let before_put = move |_: &ObjectKey| match of_objects.load(Ordering::Relaxed) {
        true => Err(ObjectError::Unavailable("no space left".into())),
        false => Ok(()),
    };
    let is_down = Box::new(move || of_queue.load(Ordering::Relaxed));
    let queue = Arc::new(FaultyQueue { is_down, ..FaultyQueue::new(&inner) });
    let app = start(queue, Arc::new(FaultyObjects { inner: Arc::clone(&stored), before_put }));
    send(&inner).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(inner.stats().await.unwrap().in_flight, 1, "its lease ran out");
    is_full.store(false, Ordering::Relaxed);
    eventually("its object", || async { (stored.keys().len() == 1).then_some(()) }).await;
    app.shut_down().await;
    assert_eq!(inner.stats().await.unwrap().dead, Some(0));
}

#[tokio::test]
async fn an_outage_of_the_queue_is_no_try_to_delete() {
    /// More than a message has that cannot be deleted.
    const TRIES: usize = 6;
    let inner = queue();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let is_down = Box::new(move || counter.fetch_add(1, Ordering::Relaxed) < TRIES);
    let app = start(Arc::new(FaultyQueue { is_down, ..FaultyQueue::new(&inner) }), MemoryObjects::new());
    send(&inner).await;
    eventually("an empty queue", || async {
        let stats = inner.stats().await.unwrap();
        (stats.visible + stats.in_flight == 0).then_some(())
    })
    .await;
    assert!(asked.load(Ordering::Relaxed) > TRIES, "nothing was down");
    app.shut_down().await;
    assert_eq!(inner.stats().await.unwrap().dead, Some(0));
}

#[tokio::test]
async fn one_path_that_fails_like_a_whole_store_stops_no_others() {
    let (queue, stored) = (queue(), MemoryObjects::new());
    let first = OnceLock::new();
    let before_put = move |key: &ObjectKey| match first.get_or_init(|| key.clone()) == key {
        true => Err(ObjectError::Unavailable("permission denied".into())),
        false => Ok(()),
    };
    let objects = FaultyObjects { inner: Arc::clone(&stored), before_put };
    // One at a time, so that no other can tell the archiver that the store works.
    let app = start_with(Arc::clone(&queue) as _, Arc::new(objects), &[("ARCHIVE_CONCURRENCY", "1")]);
    for _ in 0..20 {
        send(&queue).await;
    }
    eventually("the objects of the others", || async { (stored.keys().len() == 19).then_some(()) }).await;
    app.shut_down().await;
    assert_eq!(queue.stats().await.unwrap().dead, Some(0));
}
