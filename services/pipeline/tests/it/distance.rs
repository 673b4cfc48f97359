//! The archiver on a queue at a distance, where each call is paid for and deliveries that are handed back count.

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
    let queue: Arc<dyn Queue> = Arc::clone(queue) as _;
    TestApp::start(|context| archiver_on(&queue, &objects, context, &[("MAX_RECEIVE_COUNT", "1")]))
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
    while queue.receives.now() > 1 {
        send(&inner, 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    send(&inner, 1).await;
    eventually("the last object", || async { (inner.stats().await.unwrap().in_flight == 0).then_some(()) }).await;
    assert_eq!(queue.receives.now(), 1, "more than one receive from an empty queue");
    app.shut_down().await;
}

#[tokio::test]
async fn what_a_receive_brings_when_the_drain_has_begun_is_stored() {
    let inner = inner();
    let queue = Arc::new(FaultyQueue { profile: SQS, way: Duration::from_millis(300), ..FaultyQueue::new(&inner) });
    let stored = MemoryObjects::new();
    let app = start(&queue, Arc::clone(&stored) as _);
    send(&inner, 5).await;
    eventually("the receive", || async { (inner.stats().await.unwrap().in_flight == 5).then_some(()) }).await;
    assert_eq!(stored.keys().len(), 0, "the answer came too soon for this test");
    app.shut_down().await;
    assert_eq!(stored.keys().len(), 5);
    let stats = inner.stats().await.unwrap();
    assert_eq!((stats.visible, stats.in_flight, stats.dead), (0, 0, Some(0)));
}

/// On such a queue a message is kept while the store is down. One that fails for itself must not be kept for ever.
#[tokio::test(start_paused = true)]
async fn a_message_that_fails_for_itself_holds_up_no_others_and_is_given_up() {
    let inner = inner();
    send(&inner, 1).await;
    let stored = MemoryObjects::new();
    let first = OnceLock::new();
    let before_put = move |key: &ObjectKey| match first.get_or_init(|| key.clone()) == key {
        true => Err(ObjectError::Unavailable("503".into())),
        false => Ok(()),
    };
    let queue = Arc::new(FaultyQueue { profile: SQS, ..FaultyQueue::new(&inner) });
    let app = start(&queue, Arc::new(FaultyObjects { inner: Arc::clone(&stored), before_put }));
    eventually("the receive", || async { (inner.stats().await.unwrap().in_flight == 1).then_some(()) }).await;
    let mut sent = 0;
    while inner.stats().await.unwrap().dead == Some(0) {
        send(&inner, 1).await;
        sent += 1;
        assert!(sent < 200, "it is kept for ever");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    eventually("the others", || async { (stored.keys().len() == sent).then_some(()) }).await;
    let [letter] = &inner.dead_letters(10).await.unwrap()[..] else { panic!("more than one") };
    assert!(letter.reason.contains("while others were stored"), "{}", letter.reason);
    app.shut_down().await;
}
