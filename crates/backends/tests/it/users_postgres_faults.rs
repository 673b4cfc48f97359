//! Users in PostgreSQL when the server does not do what it should: only `Unavailable` and `Timeout`, nothing that was
//! answered is lost, and well again by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use users::store::UserStore;

use crate::postgres::{Server, create_database, execute};
use crate::users::{assert_is_of_the_database, id, open, user};

/// Within it every call ends, and everything is well again.
const LIMIT: Duration = Duration::from_secs(5);

/// Creates and finds until told to stop; answers who was created.
async fn create_on(store: Arc<dyn UserStore>, name: String, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut created: Vec<String> = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (name, begun) = (format!("{name}.{number}"), Instant::now());
        match store.create(user(&name)).await {
            Ok(_) => created.push(name),
            Err(error) => {
                assert_is_of_the_database(&error);
                sleep(Duration::from_millis(20)).await;
            }
        }
        assert!(begun.elapsed() < LIMIT, "a create took {:?}", begun.elapsed());
        let Some(last) = created.last() else { continue };
        let begun = Instant::now();
        match store.find(id(last)).await {
            Ok(found) => assert!(found.is_some(), "{last} is lost"),
            Err(error) => assert_is_of_the_database(&error),
        }
        assert!(begun.elapsed() < LIMIT, "a find took {:?}", begun.elapsed());
    }
    created
}

/// Puts load on a server while `fault` happens to it.
async fn under_load(fault: impl AsyncFnOnce(&Server, &str)) {
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    let stores = [open(&url).await, open(&url).await];
    for (process, store) in stores.iter().enumerate() {
        for caller in 0..8 {
            callers.spawn(create_on(store.clone(), format!("{process}.{caller}"), stop.clone()));
        }
    }
    sleep(Duration::from_millis(500)).await;
    fault(&server, &url).await;
    let back = Instant::now();
    for (number, store) in stores.iter().enumerate() {
        let mut tries = 0;
        while store.create(user(&format!("probe.{number}.{tries}"))).await.is_err() {
            assert!(back.elapsed() < LIMIT, "still away after {:?}", back.elapsed());
            tries += 1;
        }
        store.list(chassis::http::Page { skip: 0, limit: 10 }).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let created: Vec<String> = callers.join_all().await.into_iter().flatten().collect();
    assert!(created.len() > 100, "there was no load: {}", created.len());
    for name in created {
        assert!(stores[0].find(id(&name)).await.unwrap().is_some(), "{name} was answered and is lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_anew_under_load_loses_no_user() {
    under_load(async |server, _| {
        server.control("restart");
        sleep(Duration::from_secs(1)).await;
        server.control("crash");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_for_ten_seconds_under_load_loses_no_user() {
    under_load(async |server, _| {
        server.control("freeze");
        sleep(Duration::from_secs(10)).await;
        server.control("thaw");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_again_and_again_lose_no_user() {
    under_load(async |_, url| {
        for _ in 0..10 {
            let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keelson'";
            execute(url, all).await;
            sleep(Duration::from_millis(150)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_statement_that_was_too_slow_leaves_no_connection_behind_that_answers_the_next_one() {
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    let store = open(&url).await;
    store.create(user("ann")).await.unwrap();
    store.create(user("bob")).await.unwrap();
    server.control("freeze");
    let begun = Instant::now();
    assert_is_of_the_database(&store.find(id("ann")).await.unwrap_err());
    assert_is_of_the_database(&store.count().await.unwrap_err());
    assert!(begun.elapsed() < 2 * LIMIT, "{:?}", begun.elapsed());
    server.control("thaw");
    let begun = Instant::now();
    while store.ping().await.is_err() {
        assert!(begun.elapsed() < LIMIT);
    }
    for _ in 0..20 {
        assert_eq!(store.find(id("bob")).await.unwrap().unwrap().name, "bob");
        assert_eq!(store.find(id("ann")).await.unwrap().unwrap().name, "ann");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_at_once_and_back_by_itself() {
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    let store = open(&url).await;
    server.control("down");
    let begun = Instant::now();
    assert_is_of_the_database(&store.create(user("ann")).await.unwrap_err());
    assert_is_of_the_database(&store.ping().await.unwrap_err());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    server.control("up");
    let begun = Instant::now();
    while store.ping().await.is_err() {
        assert!(begun.elapsed() < LIMIT);
    }
    store.create(user("bob")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_only_reads_does_not_pass_for_ready() {
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    let store = open(&url).await;
    let set = |value: &str| format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
    execute(&url, &set("on")).await;
    execute(&url, "SELECT pg_reload_conf()").await;
    sleep(Duration::from_millis(300)).await;
    assert_is_of_the_database(&store.ping().await.unwrap_err());
    assert_is_of_the_database(&store.create(user("ann")).await.unwrap_err());
    execute(&url, &set("off")).await;
    execute(&url, "SELECT pg_reload_conf()").await;
    let begun = Instant::now();
    while store.create(user("ann")).await.is_err() {
        assert!(begun.elapsed() < LIMIT);
        sleep(Duration::from_millis(50)).await;
    }
    store.ping().await.unwrap();
}
