//! Callers of a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use backends::{SqlContext, SqliteFiles, open_users};
use chassis::clock::SystemClock;
use chassis::telemetry::storage::StorageFailures;
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use users::model::{NewUser, UserDraft, UserId};
use users::store::{StoreError, UserStore};
use uuid::Uuid;

use super::Outcome;

/// A store with users whose ids are numbers.
pub(crate) struct Load {
    runtime: Runtime,
    store: Arc<dyn UserStore>,
    /// How many there are.
    created: Arc<AtomicU64>,
}

/// Of a turn.
pub(crate) const SECONDS: u64 = 2;

impl Load {
    pub(crate) fn open(url: &str) -> Outcome<Self> {
        let runtime = Runtime::new()?;
        let context = SqlContext {
            clock: SystemClock::shared(),
            failures: StorageFailures::default(),
            files: SqliteFiles::default(),
        };
        let store = runtime.block_on(open_users(url, context))?.store;
        Ok(Self { runtime, store, created: Arc::default() })
    }

    /// How many users are created in a second.
    pub(crate) fn create(&self, callers: usize) -> Outcome<f64> {
        self.rate(callers, Act::Create)
    }

    /// How many of the first `known` users are found in a second.
    pub(crate) fn find(&self, callers: usize, known: u64) -> Outcome<f64> {
        self.rate(callers, Act::Find { known })
    }

    /// Creates so many, or some more.
    pub(crate) fn fill(&self, users: u64) -> Outcome<()> {
        while self.created.load(Ordering::Relaxed) < users {
            self.create(256)?;
        }
        Ok(())
    }

    fn rate(&self, callers: usize, act: Act) -> Outcome<f64> {
        self.runtime.block_on(async {
            let begun = Instant::now();
            let end = begun + Duration::from_secs(SECONDS);
            let mut tasks = JoinSet::new();
            for caller in 0..callers as u64 {
                let (store, created) = (Arc::clone(&self.store), Arc::clone(&self.created));
                tasks.spawn(async move {
                    let mut done: u64 = 0;
                    while Instant::now() < end {
                        act.run(&*store, &created, done * 64 + caller).await?;
                        done += 1;
                    }
                    Ok::<u64, StoreError>(done)
                });
            }
            let done: u64 = tasks.join_all().await.into_iter().sum::<Result<u64, StoreError>>()?;
            Ok(done as f64 / begun.elapsed().as_secs_f64())
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Create,
    Find { known: u64 },
}

impl Act {
    async fn run(self, store: &dyn UserStore, created: &AtomicU64, turn: u64) -> Result<(), StoreError> {
        match self {
            Self::Create => store.create(user(created.fetch_add(1, Ordering::Relaxed))).await.map(|_| ()),
            Self::Find { known } => {
                // A stride that is prime to most numbers goes everywhere.
                let number = turn.wrapping_mul(7919) % known;
                let found = store.find(id(number)).await?;
                found.map(drop).ok_or_else(|| StoreError::Other(format!("no user {number}")))
            }
        }
    }
}

fn id(number: u64) -> UserId {
    UserId(Uuid::from_u128(number.into()))
}

#[expect(clippy::unwrap_used, reason = "the user follows the rules")]
fn user(number: u64) -> NewUser {
    let name = format!("User {number}");
    let draft = UserDraft { name, email: format!("user.{number}@example.com"), age: Some(30) };
    NewUser::new(draft.into_user(id(number), Timestamp::UNIX_EPOCH).unwrap())
}
