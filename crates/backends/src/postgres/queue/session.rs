//! What makes a connection one of the queue's: its settings, the lock that says that the worker lives, and the server's
//! time.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::sql;
use crate::postgres::connections::{Connections as Kept, Lent as Loan, Setup};

pub(super) type Connections = Kept<Worker>;
type Lent = Loan<Worker>;

/// Of the process, for the lock that each connection shares; zero while there is none.
#[derive(Debug, Default)]
pub(super) struct Worker(AtomicI32);

#[async_trait]
impl Setup for Worker {
    /// The server's time when the session was made.
    type Facts = i64;

    async fn prepare(&self, connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
        prepare(connection, self.0.load(Ordering::Relaxed)).await
    }
}

/// Settings, and the lock. Answers the server's time, `None` when it takes no writes.
pub(super) async fn prepare(connection: &mut PgConnection, worker: i32) -> Result<Option<i64>, sqlx::Error> {
    let query = sqlx::query(sql::PREPARE_SESSION).persistent(false).bind(sql::LOCK_SPACE).bind(worker);
    let row = query.fetch_one(connection).await?;
    Ok(if row.try_get("reads_only")? { None } else { Some(row.try_get("now")?) })
}

impl Connections {
    /// Whose connections these are, from now on.
    pub(super) fn set_worker(&self, worker: i32) {
        self.setup().0.store(worker, Ordering::Relaxed);
        self.clear();
    }

    pub(super) fn worker(&self) -> i32 {
        self.setup().0.load(Ordering::Relaxed)
    }
}

impl Lent {
    /// The server's time in `ahead`, or a little before that, as our idea of it is as old as its answer was.
    pub(super) fn server_time_in(&self, ahead: Duration) -> i64 {
        let Some((server_time, age)) = self.facts() else { return 0 };
        let passed = age + ahead;
        server_time.saturating_add(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX))
    }
}
