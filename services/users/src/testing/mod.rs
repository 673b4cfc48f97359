//! The conformance suite of [`UserStore`]: what every adapter must do.
//!
//! `users::user_conformance!(make_harness)` in a test module makes one named test per case.
#![expect(missing_docs, reason = "the name of a case is a sentence")]
#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

mod answers;
mod events;
mod lists;
mod texts;
mod uniqueness;
mod writes;

use std::sync::Arc;

use async_trait::async_trait;
use chassis::ports::Outbox;
use jiff::Timestamp;
use secrecy::SecretString;
use uuid::Uuid;

pub use self::answers::*;
pub use self::events::*;
pub use self::lists::*;
pub use self::texts::*;
pub use self::uniqueness::*;
pub use self::writes::*;
use crate::model::{NewUser, User, UserDraft, UserId};
use crate::store::UserStore;

/// A fresh, empty store. Owns whatever must outlive it, such as a folder.
#[async_trait]
pub trait UserHarness: Send + Sync {
    /// The store under test.
    fn store(&self) -> Arc<dyn UserStore>;

    /// The events that it writes.
    fn outbox(&self) -> Arc<dyn Outbox>;

    /// The same users as another process sees them; the same store where no other can.
    async fn other_process(&self) -> Arc<dyn UserStore> {
        self.store()
    }
}

/// A user who came `number` microseconds after the first one.
fn user(number: u32, email: &str) -> User {
    let draft = UserDraft { name: format!("User {number}"), email: email.to_owned(), age: Some(30) };
    draft.into_user(id(number), moment(number)).unwrap()
}

fn registered(number: u32, username: &str) -> NewUser {
    let email = format!("{number}@example.com");
    let user = User::registered(id(number), username, &email, moment(number)).unwrap();
    NewUser { password: Some(hash("first")), ..NewUser::new(user) }
}

/// Ids that say nothing about the order.
fn id(number: u32) -> UserId {
    UserId(Uuid::from_u128(u128::from(number.wrapping_mul(2_654_435_761)) << 64 | u128::from(number)))
}

fn moment(number: u32) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_000_000 + i64::from(number)).unwrap()
}

fn hash(text: &str) -> SecretString {
    format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${text}").into()
}

async fn create(harness: &impl UserHarness, user: User) -> User {
    harness.store().create(NewUser::new(user.clone())).await.unwrap();
    user
}

/// One named test per case of the store's contract. `$make` is an async function without arguments that gives
/// `Option<impl UserHarness>`; with `None` (its server is not there; it has said so) the case passes unseen.
#[macro_export]
macro_rules! user_conformance {
    ($make:path) => {
        $crate::user_cases!(
            $make,
            [
                a_created_user_reads_back_whole,
                a_missing_user_is_none,
                texts_come_back_as_they_were_given,
                of_a_hundred_creates_of_one_address_one_succeeds,
                processes_share_what_is_unique,
                a_taken_address_fails_alone,
                case_and_forms_make_no_other_address,
                usernames_are_unique_among_the_registered_alone,
                a_change_to_what_another_has_is_refused,
                what_was_given_up_can_be_taken,
                a_request_that_is_sent_again_gets_its_first_answer,
                of_a_hundred_creates_with_one_key_one_is_done,
                a_create_that_failed_keeps_no_answer,
                many_creates_with_keys_keep_their_own_answers,
                an_answer_is_forgotten_when_it_has_expired,
                a_user_and_the_event_are_there_together,
                a_create_that_failed_leaves_no_event,
                a_deletion_and_its_event_are_done_together,
                many_writes_at_once_report_each_what_it_did,
                pages_have_the_order_of_creation,
                pages_hold_still_while_users_are_added,
                pages_beyond_the_end_are_empty,
                users_are_counted,
                a_change_needs_the_version_that_is_there,
                of_many_changes_of_one_version_one_is_done,
                a_deletion_needs_the_version_that_it_names,
                credentials_follow_the_user,
                a_password_is_replaced_where_it_is_known,
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
macro_rules! user_cases {
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
