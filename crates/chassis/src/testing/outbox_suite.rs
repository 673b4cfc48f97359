//! The conformance suite of [`Outbox`]: what every adapter must do.
//!
//! `chassis::outbox_conformance!(make_harness)` in a test module makes one named test per case.
#![expect(missing_docs, reason = "the name of a case is a sentence")]
#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::sleep;
use uuid::Uuid;

use crate::ports::outbox::{Event, Outbox, OutboxDepth, Position};
use crate::telemetry::correlation::{CorrelationId, TraceContext};

/// A fresh, empty outbox. Owns whatever must outlive it, such as a folder.
#[async_trait]
pub trait OutboxHarness: Send + Sync {
    /// The outbox under test.
    fn outbox(&self) -> Arc<dyn Outbox>;

    /// The same events as another process sees them; `None` where no other can.
    async fn other_process(&self) -> Option<Arc<dyn Outbox>> {
        None
    }
}

/// Behind all.
const END: Position = Position(i64::MAX);
const LEASE: Duration = Duration::from_secs(30);

fn event(number: u32) -> Event {
    Event {
        id: Uuid::from_u128(u128::from(number)),
        entity: Uuid::from_u128(7),
        event_type: "user_login".into(),
        body: format!(r#"{{"number":{number},"text":"ü 🚀 \"quoted\""}}"#),
        occurred_at: moment(number),
        correlation_id: None,
        trace: None,
    }
}

fn moment(number: u32) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_000_001 + i64::from(number)).unwrap()
}

async fn ids_of(outbox: &dyn Outbox) -> Vec<u128> {
    let read = outbox.read(Position::START, END, 1000).await.unwrap();
    read.into_iter().map(|(_, event)| event.id.as_u128()).collect()
}

pub async fn an_event_reads_back_whole(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    let whole = Event {
        correlation_id: CorrelationId::parse(b"order-42"),
        trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ..event(1)
    };
    assert!(whole.correlation_id.is_some() && whole.trace.is_some());
    outbox.record(whole.clone()).await.unwrap();
    outbox.record(event(2)).await.unwrap();
    let read = outbox.read(Position::START, END, 10).await.unwrap();
    assert_eq!(read.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), [whole, event(2)]);
}

pub async fn events_stand_in_the_order_of_their_commits(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    let other = harness.other_process().await.unwrap_or_else(|| harness.outbox());
    for number in 0..10 {
        let process = if number % 2 == 0 { &outbox } else { &other };
        process.record(event(number)).await.unwrap();
    }
    assert_eq!(ids_of(&*outbox).await, (0..10).collect::<Vec<_>>());
}

pub async fn pages_follow_each_other(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    for number in 0..5 {
        outbox.record(event(number)).await.unwrap();
    }
    let (mut after, mut seen) = (Position::START, Vec::new());
    loop {
        let page = outbox.read(after, END, 2).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        assert!(page.len() <= 2 && *last > after);
        after = *last;
        seen.extend(page.into_iter().map(|(_, event)| event.id.as_u128()));
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

pub async fn what_comes_after_the_last_position_is_not_read(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    assert_eq!(outbox.last().await.unwrap(), Position::START);
    assert!(outbox.read(Position::START, Position::START, 10).await.unwrap().is_empty());
    outbox.record(event(1)).await.unwrap();
    outbox.record(event(2)).await.unwrap();
    let last = outbox.last().await.unwrap();
    outbox.record(event(3)).await.unwrap();
    let read = outbox.read(Position::START, last, 10).await.unwrap();
    assert_eq!(read.iter().map(|(_, event)| event.id.as_u128()).collect::<Vec<_>>(), [1, 2]);
    assert!(outbox.read(last, last, 10).await.unwrap().is_empty());
    assert!(outbox.last().await.unwrap() > last);
}

pub async fn an_event_is_discarded_by_its_id(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    for number in 0..3 {
        outbox.record(event(number)).await.unwrap();
    }
    assert!(outbox.discard(event(1).id).await.unwrap());
    assert!(!outbox.discard(event(1).id).await.unwrap());
    assert_eq!(ids_of(&*outbox).await, [0, 2]);
}

pub async fn what_is_removed_is_gone_and_the_rest_stays(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    for number in 0..4 {
        outbox.record(event(number)).await.unwrap();
    }
    let read = outbox.read(Position::START, END, 10).await.unwrap();
    let delivered = [read[0].0, read[2].0];
    outbox.remove(&delivered).await.unwrap();
    // As after an answer that was lost.
    outbox.remove(&delivered).await.unwrap();
    outbox.remove(&[]).await.unwrap();
    assert_eq!(ids_of(&*outbox).await, [1, 3]);
}

pub async fn a_position_is_never_given_twice(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    outbox.record(event(1)).await.unwrap();
    let (first, _) = outbox.read(Position::START, END, 1).await.unwrap()[0];
    outbox.remove(&[first]).await.unwrap();
    outbox.record(event(2)).await.unwrap();
    let (second, _) = outbox.read(Position::START, END, 1).await.unwrap()[0];
    assert!(second > first, "{second:?} {first:?}");
}

pub async fn the_depth_counts_and_names_the_oldest(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    assert_eq!(outbox.depth().await.unwrap(), OutboxDepth::default());
    for number in 0..3 {
        outbox.record(event(number)).await.unwrap();
    }
    assert_eq!(outbox.depth().await.unwrap(), OutboxDepth { events: 3, oldest: Some(moment(0)) });
    let (first, _) = outbox.read(Position::START, END, 1).await.unwrap()[0];
    outbox.remove(&[first]).await.unwrap();
    assert_eq!(outbox.depth().await.unwrap(), OutboxDepth { events: 2, oldest: Some(moment(1)) });
}

pub async fn many_events_at_once_are_all_there(harness: &impl OutboxHarness) {
    let outbox = harness.outbox();
    join_all((0..200).map(|number| outbox.record(event(number)))).await.into_iter().for_each(Result::unwrap);
    let mut ids = ids_of(&*outbox).await;
    ids.sort_unstable();
    assert_eq!(ids, (0..200).collect::<Vec<_>>());
    let read = outbox.read(Position::START, END, 1000).await.unwrap();
    outbox.remove(&read.iter().map(|(position, _)| *position).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(outbox.depth().await.unwrap().events, 0);
}

pub async fn of_many_processes_one_leads(harness: &impl OutboxHarness) {
    let (outbox, Some(other)) = (harness.outbox(), harness.other_process().await) else { return };
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert!(outbox.lead(first, LEASE).await.unwrap());
    assert!(!other.lead(second, LEASE).await.unwrap(), "two lead");
    assert!(outbox.lead(first, LEASE).await.unwrap(), "the lead cannot be kept");
    assert!(!other.lead(second, Duration::ZERO).await.unwrap(), "whoever does not lead gives up nothing");
    assert!(!other.lead(second, LEASE).await.unwrap(), "two lead");
    assert!(!outbox.lead(first, Duration::ZERO).await.unwrap());
    assert!(other.lead(second, Duration::from_millis(300)).await.unwrap(), "what was given up is free");
    sleep(Duration::from_millis(600)).await;
    assert!(outbox.lead(first, LEASE).await.unwrap(), "the lead of one that died is free");
}

/// One named test per case of the port's contract. `$make` is an async function without arguments that gives
/// `Option<impl OutboxHarness>`; with `None` (its server is not there; it has said so) the case passes unseen.
#[macro_export]
macro_rules! outbox_conformance {
    ($make:path) => {
        $crate::conformance_cases!(
            $make,
            outbox_suite,
            [
                an_event_reads_back_whole,
                events_stand_in_the_order_of_their_commits,
                pages_follow_each_other,
                what_comes_after_the_last_position_is_not_read,
                what_is_removed_is_gone_and_the_rest_stays,
                an_event_is_discarded_by_its_id,
                a_position_is_never_given_twice,
                the_depth_counts_and_names_the_oldest,
                many_events_at_once_are_all_there,
                of_many_processes_one_leads,
            ]
        );
    };
}
