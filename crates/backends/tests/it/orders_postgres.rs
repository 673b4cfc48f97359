//! Orders in PostgreSQL: the conformance suite, and what many callers share.

use std::sync::Arc;

use async_trait::async_trait;
use backends::{OrderDatabase, open_orders};
use chassis::ports::Outbox;
use chassis::testing::outbox_suite::OutboxHarness;
use futures_util::future::join_all;
use orders::model::{NewOrder, Order, UserId};
use orders::store::{OrderStore, StoreError};
use orders::testing::OrderHarness;

use crate::orders_sqlite::order;
use crate::postgres::{fresh_database, number};
use crate::users::context;

struct Harness {
    url: String,
    database: OrderDatabase,
}

#[async_trait]
impl OrderHarness for Harness {
    fn store(&self) -> Arc<dyn OrderStore> {
        self.database.store.clone()
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        self.database.outbox.clone()
    }

    async fn other_process(&self) -> Arc<dyn OrderStore> {
        open(&self.url).await.store
    }
}

async fn open(url: &str) -> OrderDatabase {
    open_orders(url, context()).await.unwrap()
}

async fn harness() -> Option<Harness> {
    let url = fresh_database().await?;
    let database = open(&url).await;
    Some(Harness { url, database })
}

orders::order_conformance!(harness);

#[async_trait]
impl OutboxHarness for Harness {
    fn outbox(&self) -> Arc<dyn Outbox> {
        self.database.outbox.clone()
    }

    async fn other_process(&self) -> Option<Arc<dyn Outbox>> {
        Some(open(&self.url).await.outbox)
    }
}

mod outbox {
    use super::harness;

    chassis::outbox_conformance!(harness);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_creates_at_once_are_few_transactions_and_the_one_with_a_nul_fails_alone() {
    let Some(url) = fresh_database().await else { return };
    let store = open(&url).await.store;
    let creates = (0..200).map(|number| {
        let NewOrder { order, .. } = order(number);
        let user_id = UserId(if number == 7 { "a\0b".to_owned() } else { "ann".to_owned() });
        store.create(NewOrder::new(Order { user_id, ..order }))
    });
    for (number, outcome) in join_all(creates).await.into_iter().enumerate() {
        match outcome {
            Err(StoreError::Other(text)) => assert!(number == 7 && text.contains("NUL"), "{number}: {text}"),
            other => assert!(other.is_ok() && number != 7, "{number}: {other:?}"),
        }
    }
    let transactions = number(&url, "SELECT count(DISTINCT xmin::text) FROM keelson_orders.orders").await;
    assert!(transactions <= 50, "{transactions} transactions for 199 orders");
}
