//! Orders in a file of SQLite: the conformance suite, and a file that users has too.

use std::sync::Arc;

use async_trait::async_trait;
use backends::{OrderDatabase, SqlContext, open_orders, open_users};
use chassis::http::Page;
use chassis::ports::Outbox;
use chassis::testing::outbox_suite::OutboxHarness;
use futures_util::future::join_all;
use orders::model::{NewOrder, OrderDraft, OrderId};
use orders::store::{OrderFilter, OrderStore};
use orders::testing::OrderHarness;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use crate::users::{context, user};

struct Harness {
    url: String,
    database: OrderDatabase,
    _folder: TempDir,
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
        open(&self.url, context()).await.store
    }
}

async fn open(url: &str, context: SqlContext) -> OrderDatabase {
    open_orders(url, context).await.unwrap()
}

async fn harness() -> Option<Harness> {
    let (folder, url) = place();
    let database = open(&url, context()).await;
    Some(Harness { url, database, _folder: folder })
}

orders::order_conformance!(harness);

#[async_trait]
impl OutboxHarness for Harness {
    fn outbox(&self) -> Arc<dyn Outbox> {
        self.database.outbox.clone()
    }
}

mod outbox {
    use super::harness;

    chassis::outbox_conformance!(harness);
}

fn place() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("keelson.db").display());
    (folder, url)
}

pub(crate) fn order(number: u128) -> NewOrder {
    let item = r#"{"product_id":"prod-1","product_name":"Laptop","quantity":1,"price":999.99}"#;
    let body = format!("{{\"user_id\":\"ann\",\"items\":[{item}],\"shipping_address\":\"1 Main St\"}}");
    let draft: OrderDraft = serde_json::from_str(&body).unwrap();
    NewOrder::new(draft.into_order(OrderId(Uuid::from_u128(number)), jiff::Timestamp::UNIX_EPOCH).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_orders_of_one_process_share_a_file_and_write_it_at_once() {
    let (folder, url) = place();
    let shared = context();
    let users = open_users(&url, shared.clone()).await.unwrap();
    let orders = open(&url, shared).await;
    let names: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    let registered = join_all(names.iter().map(|name| users.store.create(user(name))));
    let ordered = join_all((0..200).map(|number| orders.store.create(order(number))));
    let (registered, ordered) = tokio::join!(registered, ordered);
    assert!(registered.iter().all(Result::is_ok) && ordered.iter().all(Result::is_ok));
    assert_eq!(users.store.count().await.unwrap().total, 200);
    let listed = orders.store.list(&OrderFilter::default(), Page { skip: 0, limit: 1 }).await.unwrap();
    assert_eq!(listed.total, 200);
    drop(users);
    orders.store.create(order(1000)).await.unwrap();
    let tables = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE type = 'table' AND name \
         LIKE '%migrations' ORDER BY name)";
    let connection = Connection::open(folder.path().join("keelson.db")).unwrap();
    let found: String = connection.query_row(tables, [], |row| row.get(0)).unwrap();
    assert_eq!(found, "orders_migrations users_migrations");
}

#[tokio::test]
async fn orders_are_there_when_the_file_is_opened_again() {
    let (_folder, url) = place();
    open(&url, context()).await.store.create(order(1)).await.unwrap();
    let found = open(&url, context()).await.store.find(OrderId(Uuid::from_u128(1))).await.unwrap();
    assert_eq!(found, Some(order(1).order));
}

#[tokio::test]
async fn an_order_that_is_not_as_this_program_knows_them_is_a_fault_that_names_it() {
    let (folder, url) = place();
    let store = open(&url, context()).await.store;
    store.create(order(1)).await.unwrap();
    let connection = Connection::open(folder.path().join("keelson.db")).unwrap();
    for (column, value) in [("status", "lost"), ("items", "[{\"price\":\"999.99\"}]")] {
        connection.execute(&format!("UPDATE orders SET {column} = ?1"), [value]).unwrap();
        let error = store.find(OrderId(Uuid::from_u128(1))).await.unwrap_err().to_string();
        assert!(error.contains(&format!("the {column} of an order")), "{error}");
    }
}
