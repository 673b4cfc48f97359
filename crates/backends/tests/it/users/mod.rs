//! What the tests of the stores of users share.

use std::sync::Arc;

use backends::{OpenError, SqlContext, SqliteFiles, UserDatabase, open_users};
use chassis::clock::SystemClock;
use chassis::telemetry::storage::StorageFailures;
use jiff::Timestamp;
use users::model::{NewUser, User, UserDraft, UserId};
use users::store::{StoreError, UserStore};
use uuid::Uuid;

/// How many there are.
pub(crate) const MIGRATIONS: usize = 2;

pub(crate) fn context() -> SqlContext {
    SqlContext { clock: SystemClock::shared(), failures: StorageFailures::default(), files: SqliteFiles::default() }
}

pub(crate) async fn try_open(url: &str) -> Result<Arc<dyn UserStore>, OpenError> {
    Ok(open_users(url, context()).await?.store)
}

/// Users and their events.
pub(crate) async fn open_database(url: &str) -> UserDatabase {
    open_users(url, context()).await.unwrap()
}

/// A process of its own, as far as the database can tell.
pub(crate) async fn open(url: &str) -> Arc<dyn UserStore> {
    try_open(url).await.unwrap()
}

/// Somebody of this name, whose address is the name too.
pub(crate) fn user(name: &str) -> NewUser {
    let draft = UserDraft { name: name.to_owned(), email: format!("{name}@example.com"), age: Some(30) };
    NewUser::new(draft.into_user(id(name), Timestamp::UNIX_EPOCH).unwrap())
}

pub(crate) fn named(name: &str, email: &str) -> NewUser {
    let NewUser { user, .. } = user(email);
    NewUser::new(User { name: name.to_owned(), ..user })
}

/// The same for the same name, and others for others.
pub(crate) fn id(name: &str) -> UserId {
    let mut bytes = [0; 16];
    let digits = name.bytes().chain([0; 16]).take(16);
    for (byte, digit) in bytes.iter_mut().zip(digits) {
        *byte = digit;
    }
    UserId(Uuid::from_bytes(bytes))
}

pub(crate) fn assert_is_of_the_database(error: &StoreError) {
    assert!(matches!(error, StoreError::Unavailable(_) | StoreError::Timeout), "{error:?}");
}
