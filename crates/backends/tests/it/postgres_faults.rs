//! The queue on PostgreSQL when the server does not do what it should: only `Unavailable` and `Timeout`, nothing lost,
//! nothing twice, and well again by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backends::postgres::PostgresQueue;
use chassis::ports::{NewMessage, Queue, QueueError, Receive};
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::postgres::{Server, create_database, execute};
use crate::postgres_queue::{open, try_open};

const MINUTE: Duration = Duration::from_secs(60);
/// Within it every call ends, and everything is well again.
const LIMIT: Duration = Duration::from_secs(5);

fn message(body: impl Into<String>) -> NewMessage {
    NewMessage::new(body, BTreeMap::new())
}

fn assert_is_of_the_server(error: &QueueError) {
    assert!(matches!(error, QueueError::Unavailable(_) | QueueError::Timeout), "{error:?}");
}

/// Sends until told to stop; answers what was accepted.
async fn send_on(queue: Arc<PostgresQueue>, name: String, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut accepted = BTreeSet::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (body, begun) = (format!("{name}-{number}"), Instant::now());
        match queue.send(message(&body)).await {
            Ok(_) => assert!(accepted.insert(body)),
            Err(error) => {
                assert_is_of_the_server(&error);
                sleep(Duration::from_millis(20)).await;
            }
        }
        assert!(begun.elapsed() < LIMIT, "a send took {:?}", begun.elapsed());
    }
    accepted
}

/// Receives and deletes until told to stop and nothing comes any more; answers what was deleted.
async fn receive_on(queue: Arc<PostgresQueue>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut done = Vec::new();
    loop {
        let request = Receive { max: 10, wait: Duration::from_secs(1), visibility: MINUTE };
        let messages = match queue.receive(request).await {
            Ok(messages) => messages,
            Err(error) => {
                assert_is_of_the_server(&error);
                sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        if messages.is_empty() && stop.load(Ordering::Relaxed) {
            return done;
        }
        for message in messages {
            assert_eq!(message.receive_count, 1, "an answer that was lost, and yet counted: {message:?}");
            // Deleting again is fine, so an answer that was lost is asked for again.
            while let Err(error) = queue.delete(std::slice::from_ref(&message.receipt)).await {
                assert_is_of_the_server(&error);
                sleep(Duration::from_millis(20)).await;
            }
            done.push(message.body);
        }
    }
}

/// Puts load on a server while `fault` happens to it. Whatever was accepted must be worked on once.
async fn under_load(fault: impl AsyncFnOnce(&Server, &str)) {
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    let (stop_sending, stop_receiving) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (mut senders, mut receivers) = (JoinSet::new(), JoinSet::new());
    for process in 0..2 {
        let queue = open(&url).await;
        for sender in 0..8 {
            senders.spawn(send_on(queue.clone(), format!("{process}-{sender}"), stop_sending.clone()));
        }
        receivers.spawn(receive_on(open(&url).await, stop_receiving.clone()));
    }
    sleep(Duration::from_millis(500)).await;
    fault(&server, &url).await;
    let back = Instant::now();
    let probe = open(&url).await;
    while probe.send(message("probe")).await.is_err() {
        assert!(back.elapsed() < LIMIT, "still away after {:?}", back.elapsed());
    }
    sleep(Duration::from_secs(1)).await;
    stop_sending.store(true, Ordering::Relaxed);
    let accepted: BTreeSet<String> = senders.join_all().await.into_iter().flatten().collect();
    // What a receive took whose answer was lost is given back by then.
    sleep(Duration::from_secs(3)).await;
    stop_receiving.store(true, Ordering::Relaxed);
    let done: Vec<String> = receivers.join_all().await.into_iter().flatten().collect();
    let once: BTreeSet<String> = done.iter().cloned().collect();
    assert_eq!(once.len(), done.len(), "worked on twice");
    let lost: Vec<_> = accepted.difference(&once).collect();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    assert!(accepted.len() > 100, "there was no load: {}", accepted.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_anew_under_load_loses_and_doubles_nothing() {
    under_load(async |server, _| {
        for _ in 0..2 {
            server.control("restart");
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_for_ten_seconds_under_load_loses_and_doubles_nothing() {
    under_load(async |server, _| {
        server.control("freeze");
        sleep(Duration::from_secs(10)).await;
        server.control("thaw");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_again_and_again_lose_and_double_nothing() {
    under_load(async |_, url| {
        for _ in 0..10 {
            let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keelson'";
            execute(url, all).await;
            sleep(Duration::from_millis(150)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_for_ten_seconds_takes_nothing_that_was_refused() {
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    let queue = open(&url).await;
    // Now every connection knows every statement, so that none needs an answer before it is executed.
    for _ in 0..30 {
        let request = Receive { max: 1, wait: Duration::ZERO, visibility: MINUTE };
        let sends = join_all((0..4).map(|_| queue.send(message("warm"))));
        let (sends, received, again) = tokio::join!(sends, queue.receive(request), queue.receive(request));
        assert!(sends.iter().all(Result::is_ok) && received.is_ok() && again.is_ok());
    }
    queue.purge().await.unwrap();
    queue.send(message("before")).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    server.control("freeze");
    let frozen = Instant::now();
    while frozen.elapsed() < Duration::from_secs(10) {
        let sends = (0..10).map(|_| async {
            let begun = Instant::now();
            let refused = queue.send(message("refused")).await.unwrap_err();
            assert_is_of_the_server(&refused);
            assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
        });
        let receive = async {
            let begun = Instant::now();
            let request = Receive { max: 10, wait: Duration::ZERO, visibility: MINUTE };
            assert_is_of_the_server(&queue.receive(request).await.unwrap_err());
            assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
        };
        tokio::join!(join_all(sends), receive);
    }
    server.control("thaw");
    let thawed = Instant::now();
    while queue.send(message("after")).await.is_err() {
        assert!(thawed.elapsed() < LIMIT, "still away after {:?}", thawed.elapsed());
    }
    let mut bodies = Vec::new();
    loop {
        let request = Receive { max: 10, wait: Duration::from_secs(2), visibility: MINUTE };
        let messages = queue.receive(request).await.unwrap();
        if messages.is_empty() {
            break;
        }
        bodies.extend(messages.into_iter().map(|message| (message.body, message.receive_count)));
    }
    assert_eq!(bodies, [("before".to_owned(), 1), ("after".to_owned(), 1)]);
}

/// A disk that is full for tables and has room for the write-ahead log, as where that has one of its own: with no room
/// for the log a server ends itself, which is an outage like others.
#[tokio::test]
async fn a_full_disk_refuses_sends_and_what_was_accepted_is_received_when_there_is_room_again() {
    let Some(server) = Server::start_on(Some("96m")) else { return };
    let url = create_database(&server).await;
    let queue = open(&url).await;
    let body = |number: usize| format!("{number} {}", "0123456789".repeat(500));
    let mut accepted = 0;
    for _ in 0..100 {
        queue.send(message(body(accepted))).await.unwrap();
        accepted += 1;
    }
    server.control("fill");
    // The tables have a little room left in their last pages.
    let refused = loop {
        match queue.send(message(body(accepted))).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 10_000, "the disk is not full");
    };
    let QueueError::Unavailable(cause) = &refused else { panic!("{refused:?}") };
    assert!(cause.contains("No space left on device") && cause.contains("53100"), "{cause}");
    queue.ping().await.unwrap();
    assert_eq!(queue.stats().await.unwrap().visible, u64::try_from(accepted).unwrap());

    server.control("free");
    queue.send(message(body(accepted))).await.unwrap();
    let request = Receive { max: 10, wait: Duration::ZERO, visibility: MINUTE };
    let mut bodies = Vec::new();
    while bodies.len() <= accepted {
        let messages = queue.receive(request).await.unwrap();
        assert!(!messages.is_empty(), "{} of {accepted} are there", bodies.len());
        bodies.extend(messages.into_iter().map(|message| (message.body, message.receive_count)));
    }
    assert_eq!(bodies, (0..=accepted).map(|number| (body(number), 1)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_at_once_and_back_by_itself() {
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    let queue = open(&url).await;
    server.control("down");
    let begun = Instant::now();
    assert_is_of_the_server(&queue.send(message("refused")).await.unwrap_err());
    assert_is_of_the_server(&queue.ping().await.unwrap_err());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let text = try_open(&url.replace("postgres@", "postgres:hunter2@")).await.unwrap_err().to_string();
    assert!(text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");
    server.control("up");
    let begun = Instant::now();
    while queue.ping().await.is_err() {
        assert!(begun.elapsed() < LIMIT);
    }
    queue.send(message("back")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_only_reads_is_unavailable_until_it_takes_writes_again() {
    let Some(server) = Server::start() else { return };
    let url = create_database(&server).await;
    let queue = open(&url).await;
    let set = |value: &str| format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
    execute(&url, &set("on")).await;
    execute(&url, "SELECT pg_reload_conf()").await;
    sleep(Duration::from_millis(300)).await;
    assert_is_of_the_server(&queue.send(message("refused")).await.unwrap_err());
    assert_is_of_the_server(&queue.ping().await.unwrap_err());
    execute(&url, &set("off")).await;
    execute(&url, "SELECT pg_reload_conf()").await;
    let begun = Instant::now();
    while queue.send(message("back")).await.is_err() {
        assert!(begun.elapsed() < LIMIT);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(queue.stats().await.unwrap().visible, 1);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let Some(server) = Server::start() else { return };
    let text = try_open(&server.url("nowhere")).await.unwrap_err().to_string();
    assert!(text.contains("nowhere") && text.contains("create the database"), "{text}");
}
