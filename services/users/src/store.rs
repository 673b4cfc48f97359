//! Where users are kept: the port. Its adapters stand in `backends`; one for tests stands beside it.
//!
//! # Contract
//! * **Durable**: a write that was answered survives the end of the process, and of the machine's power where the
//!   store is a disk.
//! * **Unique**: no two users have the same [`EmailKey`](crate::model::EmailKey), and no two registered ones the same
//!   [`UsernameKey`], however many write at once.
//! * **Reported**: the event of a change is in the outbox once the change is done, and only then; both or none.
//! * **Once**: of many creates whose answers have one id, at once or one after the other, one is done, until that answer
//!   is forgotten.
//! * **Versions**: a write that names the version it knows changes nothing when there is another.
//! * Texts and times come back as they were given, times to the microsecond.

use std::fmt;

use async_trait::async_trait;
use chassis::http::{Page, StoredAnswer};
use chassis::ports::Event;
use jiff::Timestamp;
use secrecy::SecretString;
use thiserror::Error;

use crate::model::{Credentials, NewUser, User, UserCounts, UserId, UsernameKey, Version};

/// What only one user may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    /// The e-mail address.
    Email,
    /// The username of those who registered.
    Username,
}

/// What became of a write that needs the user to be there as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Done,
    /// Somebody changed the user meanwhile. Nothing is done.
    Changed,
    /// There is no such user.
    Missing,
}

/// What became of a user who was to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// The user is there.
    Done,
    /// The request was done before; this is its answer.
    Before(StoredAnswer),
}

/// A part of all users.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserList {
    /// Those of the page, the oldest first; of one instant, by their ids.
    pub users: Vec<User>,
    /// How many there are in all.
    pub total: u64,
}

/// Why a store did not do what was asked.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// Another user has it. Of two, the e-mail address is named.
    #[error("another user has the same {0:?}")]
    Taken(Unique),
    /// The store as a whole cannot be reached; trying again later may help.
    #[error("the store of users is unavailable: {0}")]
    Unavailable(String),
    /// No answer in time; whether a write was done is not known.
    #[error("the store of users did not answer in time")]
    Timeout,
    /// A fault.
    #[error("store failure: {0}")]
    Other(String),
}

/// All users. The module's documentation is the contract.
#[async_trait]
pub trait UserStore: fmt::Debug + Send + Sync + 'static {
    /// Adds a user, and keeps the answer to the request and the event together with it: all are there or none. Adds nobody where an
    /// answer to a request with the same id is kept already, and tells that before it tells what is taken.
    async fn create(&self, user: NewUser) -> Result<Created, StoreError>;

    /// Forgets answers that have expired, some thousands at most; tells how many.
    async fn forget_answers(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Reads a user; `None` when there is none.
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// What a login with this username is checked against; `None` when nobody registered it.
    async fn find_credentials(&self, username: &UsernameKey) -> Result<Option<Credentials>, StoreError>;

    /// Reads a page, in the order in which the users were created.
    async fn list(&self, page: Page) -> Result<UserList, StoreError>;

    /// Puts a user in the place of its `known` version. Its password, its `is_registered` and `created_at` stay.
    async fn replace(&self, user: User, known: Version) -> Result<Written, StoreError>;

    /// Puts a hash in the place of the one that is known, such as after its parameters changed. The user's version
    /// stays: nothing that callers see has changed.
    async fn replace_password(&self, id: UserId, known: SecretString, new: SecretString)
    -> Result<Written, StoreError>;

    /// Deletes a user; only in its `known` version, if there is one. The event is written where it is done.
    async fn delete(&self, id: UserId, known: Option<Version>, event: Option<Event>) -> Result<Written, StoreError>;

    /// Counts all users.
    async fn count(&self) -> Result<UserCounts, StoreError>;

    /// Whether the store can be reached; read-only, bounded by the caller.
    async fn ping(&self) -> Result<(), StoreError>;
}
