//! The conformance suite of [`EventStore`]: what every adapter must do.
//!
//! `analytics::event_conformance!(make_harness)` in a test module makes one named test per case.
#![expect(missing_docs, reason = "the name of a case is a sentence")]
#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

mod counts;
mod keys;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

pub use self::counts::*;
pub use self::keys::*;
use crate::model::{Event, EventFilter, EventId, EventType, NewEvent};
use crate::store::{EventCounts, EventStore, Recorded};

/// A fresh, empty store. Owns whatever must outlive it, such as a folder.
#[async_trait]
pub trait EventHarness: Send + Sync {
    /// The store under test.
    fn store(&self) -> Arc<dyn EventStore>;

    /// The same events as another process sees them; the same store where no other can.
    async fn other_process(&self) -> Arc<dyn EventStore> {
        self.store()
    }
}

/// An event that came `number` microseconds after the first one.
fn event(number: u32, event_type: EventType) -> Event {
    Event {
        id: EventId(Uuid::from_u128(u128::from(number))),
        event_type,
        event_name: format!("Event {number}"),
        user_id: None,
        properties: None,
        created_at: moment(number),
    }
}

fn moment(number: u32) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_000_000 + i64::from(number)).unwrap()
}

async fn record(harness: &impl EventHarness, event: Event) {
    let recorded = harness.store().record(NewEvent { event, key: None }).await.unwrap();
    assert_eq!(recorded, Recorded::Done);
}

async fn count(harness: &impl EventHarness, filter: EventFilter) -> EventCounts {
    harness.store().count(&filter).await.unwrap()
}

async fn total(harness: &impl EventHarness) -> u64 {
    count(harness, EventFilter::default()).await.values().sum()
}

/// One named test per case of the store's contract. `$make` is an async function without arguments that gives
/// `Option<impl EventHarness>`; with `None` (its server is not there; it has said so) the case passes unseen.
#[macro_export]
macro_rules! event_conformance {
    ($make:path) => {
        $crate::event_cases!(
            $make,
            [
                events_are_counted_by_their_types,
                a_store_without_events_counts_none,
                filters_apply_together,
                whatever_texts_hold_is_kept,
                many_events_at_once_are_all_counted,
                processes_see_each_others_events,
                an_event_that_is_sent_again_is_counted_once,
                of_a_hundred_with_one_key_one_is_recorded,
                many_events_with_keys_keep_their_own,
                a_caller_that_leaves_harms_nobody,
                the_store_answers_a_ping,
            ]
        );
    };
}

/// Makes one `#[tokio::test]` of each case.
#[doc(hidden)]
#[macro_export]
macro_rules! event_cases {
    ($make:path, [$($case:ident),+ $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(harness) = $make().await {
                    $crate::testing::$case(&harness).await;
                }
            }
        )+
    };
}
