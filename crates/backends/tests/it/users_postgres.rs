//! Users in PostgreSQL: the conformance suite, and what many callers share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backends::UserDatabase;
use chassis::ports::Outbox;
use chassis::testing::outbox_suite::OutboxHarness;
use futures_util::future::join_all;
use sqlx::Connection as _;
use tokio::time::sleep;
use users::store::{StoreError, UserStore};
use users::testing::UserHarness;

use crate::postgres::{connect, execute, fresh_database, number};
use crate::users::{id, named, open, open_database, user};

struct Harness {
    url: String,
    database: UserDatabase,
}

#[async_trait]
impl UserHarness for Harness {
    fn store(&self) -> Arc<dyn UserStore> {
        self.database.store.clone()
    }

    fn outbox(&self) -> Arc<dyn Outbox> {
        self.database.outbox.clone()
    }

    async fn other_process(&self) -> Arc<dyn UserStore> {
        open(&self.url).await
    }
}

async fn harness() -> Option<Harness> {
    let url = fresh_database().await?;
    let database = open_database(&url).await;
    Some(Harness { url, database })
}

users::user_conformance!(harness);

#[async_trait]
impl OutboxHarness for Harness {
    fn outbox(&self) -> Arc<dyn Outbox> {
        self.database.outbox.clone()
    }

    async fn other_process(&self) -> Option<Arc<dyn Outbox>> {
        Some(open_database(&self.url).await.outbox)
    }
}

mod outbox {
    use super::harness;

    chassis::outbox_conformance!(harness);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_creates_at_once_the_one_with_a_nul_fails_alone() {
    let Some(url) = fresh_database().await else { return };
    let store = open(&url).await;
    let creates = (0..20).map(|number| {
        let name = if number == 7 { "a\0b" } else { "fine" };
        store.create(named(name, &number.to_string()))
    });
    for (number, outcome) in join_all(creates).await.into_iter().enumerate() {
        match outcome {
            Err(StoreError::Other(text)) => assert!(number == 7 && text.contains("NUL"), "{number}: {text}"),
            other => assert!(other.is_ok() && number != 7, "{number}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_creates_at_once_those_that_the_server_refuses_fail_alone() {
    let Some(url) = fresh_database().await else { return };
    let store = open(&url).await;
    execute(&url, "ALTER TABLE keelson_users.users ADD CHECK (name <> 'bad')").await;
    let is_bad = |number: usize| [3, 50, 51, 99].contains(&number);
    let creates = (0..100).map(|number| {
        let name = if is_bad(number) { "bad" } else { "good" };
        store.create(named(name, &number.to_string()))
    });
    for (number, outcome) in join_all(creates).await.into_iter().enumerate() {
        assert_eq!(outcome.is_err(), is_bad(number), "{number}: {outcome:?}");
    }
    assert_eq!(store.count().await.unwrap().total, 96);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_the_same_moment_share_statements_and_transactions() {
    let Some(url) = fresh_database().await else { return };
    let store = open(&url).await;
    store.create(user("first")).await.unwrap();
    let mut connection = connect(&url).await;
    let mut locked = connection.begin().await.unwrap();
    sqlx::query("LOCK TABLE keelson_users.users").execute(&mut *locked).await.unwrap();
    let creates = join_all((0..200).map(|number| {
        let store = store.clone();
        async move { store.create(user(&number.to_string())).await }
    }));
    let finds = join_all((0..200).map(|_| store.find(id("first"))));
    let release = async {
        sleep(Duration::from_millis(500)).await;
        let waiting = number(
            &url,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .await;
        locked.rollback().await.unwrap();
        waiting
    };
    let (created, found, waiting) = tokio::join!(creates, finds, release);
    assert!(created.iter().all(Result::is_ok));
    assert!(found.iter().all(|found| found.as_ref().is_ok_and(Option::is_some)));
    assert!((2..=4).contains(&waiting), "{waiting} statements for 400 callers");
    let transactions = number(&url, "SELECT count(DISTINCT xmin::text) FROM keelson_users.users").await;
    assert!(transactions <= 5, "{transactions} transactions for 201 users");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_whose_keys_cross_all_get_an_answer() {
    let Some(url) = fresh_database().await else { return };
    let (one, other) = (open(&url).await, open(&url).await);
    for round in 0..20 {
        let creates = (0..50).map(|number| {
            let store = if number % 2 == 0 { &one } else { &other };
            // The same username for two whose addresses lie in the opposite order.
            let (username, email) = match number % 2 {
                0 => (number, number),
                _ => (number - 1, 1000 - number),
            };
            let mut new = named(&format!("name-{round}-{username}"), &format!("{round}.{email:04}"));
            new.user.is_registered = true;
            new.password = Some("$argon2id$v=19$hash".to_owned().into());
            store.create(new)
        });
        let outcomes = join_all(creates).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 25);
        let taken = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Taken(_)))).count();
        assert_eq!(taken, 25, "{outcomes:?}");
    }
}
