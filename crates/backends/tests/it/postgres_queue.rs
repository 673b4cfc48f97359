//! The queue on PostgreSQL: the conformance suite, and what many processes on one database add to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backends::QueueContext;
use backends::postgres::PostgresQueue;
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::Queue;
use chassis::telemetry::storage::StorageFailures;
use chassis::testing::queue_suite::QueueHarness;
use jiff::Timestamp;
use tokio::time::sleep;

use crate::postgres::fresh_database;

pub(crate) const MAX_RECEIVE_COUNT: u32 = 3;

/// A process of its own, as far as the database can tell.
pub(crate) async fn open(url: &str) -> Arc<PostgresQueue> {
    try_open(url).await.unwrap()
}

pub(crate) async fn try_open(url: &str) -> Result<Arc<PostgresQueue>, backends::OpenError> {
    let clock = SystemClock::shared();
    let context = QueueContext {
        ids: Ids::new(clock.clone()),
        clock,
        max_receive_count: MAX_RECEIVE_COUNT,
        failures: StorageFailures::default(),
    };
    PostgresQueue::open(url.strip_prefix("postgres:").unwrap(), context).await
}

struct Harness(Arc<PostgresQueue>);

async fn harness() -> Option<Harness> {
    Some(Harness(open(&fresh_database().await?).await))
}

#[async_trait]
impl QueueHarness for Harness {
    fn queue(&self) -> Arc<dyn Queue> {
        self.0.clone()
    }

    fn now(&self) -> Timestamp {
        SystemClock::shared().now()
    }

    async fn advance(&self, by: Duration) {
        sleep(by).await;
    }

    fn max_receive_count(&self) -> u32 {
        MAX_RECEIVE_COUNT
    }
}

chassis::queue_conformance!(harness);
