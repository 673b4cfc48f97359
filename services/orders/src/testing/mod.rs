//! The conformance suite of [`OrderStore`]: what every adapter must do.
//!
//! `orders::order_conformance!(make_harness)` in a test module makes one named test per case.
#![expect(missing_docs, reason = "the name of a case is a sentence")]
#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

mod answers;
mod contents;
mod events;
mod lists;
mod writes;

use std::sync::Arc;

use async_trait::async_trait;
use chassis::ports::Outbox;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

pub use self::answers::*;
pub use self::contents::*;
pub use self::events::*;
pub use self::lists::*;
pub use self::writes::*;
use crate::model::{NewOrder, Order, OrderDraft, OrderId};
use crate::store::OrderStore;

/// A fresh, empty store. Owns whatever must outlive it, such as a folder.
#[async_trait]
pub trait OrderHarness: Send + Sync {
    /// The store under test.
    fn store(&self) -> Arc<dyn OrderStore>;

    /// The events that it writes.
    fn outbox(&self) -> Arc<dyn Outbox>;

    /// The same orders as another process sees them; the same store where no other can.
    async fn other_process(&self) -> Arc<dyn OrderStore> {
        self.store()
    }
}

/// An order that came `number` microseconds after the first one.
fn order(number: u32, user_id: &str) -> Order {
    let item = json!({ "product_id": "prod-1", "product_name": "Laptop", "quantity": 1, "price": 999.99 });
    let body = json!({ "user_id": user_id, "items": [item], "shipping_address": format!("{number} Main St") });
    let draft: OrderDraft = serde_json::from_str(&body.to_string()).unwrap();
    draft.into_order(id(number), moment(number)).unwrap()
}

/// Ids that say nothing about the order in time.
fn id(number: u32) -> OrderId {
    OrderId(Uuid::from_u128(u128::from(number.wrapping_mul(2_654_435_761)) << 64 | u128::from(number)))
}

fn moment(number: u32) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_000_000 + i64::from(number)).unwrap()
}

async fn create(harness: &impl OrderHarness, order: Order) -> Order {
    harness.store().create(NewOrder::new(order.clone())).await.unwrap();
    order
}

/// One named test per case of the store's contract. `$make` is an async function without arguments that gives
/// `Option<impl OrderHarness>`; with `None` (its server is not there; it has said so) the case passes unseen.
#[macro_export]
macro_rules! order_conformance {
    ($make:path) => {
        $crate::order_cases!(
            $make,
            [
                a_created_order_reads_back_whole,
                a_missing_order_is_none,
                texts_come_back_as_they_were_given,
                amounts_come_back_to_the_last_digit,
                an_order_of_a_thousand_items_reads_back,
                a_request_that_is_sent_again_gets_its_first_answer,
                of_a_hundred_creates_with_one_key_one_is_done,
                many_creates_with_keys_keep_their_own_answers,
                an_answer_is_forgotten_when_it_has_expired,
                an_order_and_the_event_are_there_together,
                a_change_and_its_event_are_done_together,
                a_deletion_and_its_event_are_done_together,
                many_writes_at_once_report_each_what_it_did,
                pages_have_the_order_of_creation,
                pages_hold_still_while_orders_are_added,
                pages_beyond_the_end_are_empty,
                lists_have_what_is_asked_for_alone,
                a_page_that_would_be_too_large_is_refused,
                a_change_needs_the_version_that_is_there,
                a_change_leaves_what_never_changes,
                of_a_hundred_conflicting_transitions_one_wins,
                a_deletion_needs_the_version_that_it_names,
                many_writes_at_once_are_all_there,
                a_caller_that_leaves_harms_nobody,
                the_store_answers_a_ping,
            ]
        );
    };
}

/// Makes one `#[tokio::test]` of each case.
#[doc(hidden)]
#[macro_export]
macro_rules! order_cases {
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
