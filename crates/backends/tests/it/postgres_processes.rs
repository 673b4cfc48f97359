//! Many processes on one database: what they share, and what becomes of the messages of one that dies. A process is a
//! queue that was opened for itself; one that dies is dropped, which closes its connections as the end of a process does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backends::postgres::PostgresQueue;
use chassis::ports::{Message, NewMessage, Queue, QueueError, Receipt, Receive};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::postgres::{execute, fresh_database, number};
use crate::postgres_queue::{open, try_open};

const MINUTE: Duration = Duration::from_secs(60);
/// Until the leases of a dead process are back: the grace, and a look each second.
const SOON: Duration = Duration::from_secs(10);

fn message(body: impl Into<String>) -> NewMessage {
    NewMessage::new(body, BTreeMap::new())
}

async fn receive(queue: &PostgresQueue, wait: Duration, visibility: Duration) -> Vec<Message> {
    queue.receive(Receive { max: 10, wait, visibility }).await.unwrap()
}

async fn delete(queue: &PostgresQueue, receipts: &[Receipt]) -> Vec<Result<(), QueueError>> {
    queue.delete(receipts).await.unwrap()
}

/// Receives and deletes until nothing comes any more.
async fn drain(queue: Arc<PostgresQueue>) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let messages = receive(&queue, Duration::from_secs(1), MINUTE).await;
        if messages.is_empty() {
            return bodies;
        }
        let receipts: Vec<_> = messages.iter().map(|message| message.receipt.clone()).collect();
        assert!(delete(&queue, &receipts).await.iter().all(Result::is_ok));
        bodies.extend(messages.into_iter().map(|message| message.body));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_share_the_messages_of_two_without_doubles() {
    let Some(url) = fresh_database().await else { return };
    let senders = [open(&url).await, open(&url).await];
    let sends = (0..1000).map(|number| {
        let sender = &senders[number % 2];
        async move { sender.send(message(number.to_string())).await.unwrap() }
    });
    let receivers = join_all((0..3).map(|_| open(&url))).await;
    let (_, bodies) = tokio::join!(join_all(sends), join_all(receivers.into_iter().map(drain)));
    let mut bodies: Vec<u32> = bodies.into_iter().flatten().map(|body| body.parse().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..1000).collect::<Vec<_>>());
    assert_eq!(number(&url, "SELECT count(*) FROM keelson_queue.messages").await, 0);
}

#[tokio::test]
async fn what_a_process_held_that_died_is_given_back_soon_in_its_place_and_uncounted() {
    let Some(url) = fresh_database().await else { return };
    let (dying, living) = (open(&url).await, open(&url).await);
    dying.send(message("held")).await.unwrap();
    let held = receive(&dying, Duration::ZERO, MINUTE).await;
    assert_eq!(held.len(), 1);
    living.send(message("later")).await.unwrap();
    living.release(&[receive(&living, Duration::ZERO, MINUTE).await.remove(0).receipt], 2 * SOON).await.unwrap();
    drop(dying);

    let begun = Instant::now();
    let back = receive(&living, 2 * SOON, MINUTE).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(
        back.iter().map(|message| (message.body.as_str(), message.receive_count)).collect::<Vec<_>>(),
        [("held", 1)]
    );
    let stale = delete(&living, &[held[0].receipt.clone()]).await.remove(0);
    assert!(matches!(stale, Err(QueueError::StaleReceipt)), "{stale:?}");
    assert_eq!(number(&url, "SELECT count(*) FROM keelson_queue.workers").await, 1);
}

#[tokio::test]
async fn the_lease_of_a_dead_process_does_not_count_even_when_it_runs_out_first() {
    let Some(url) = fresh_database().await else { return };
    let (dying, living) = (open(&url).await, open(&url).await);
    living.send(message("held")).await.unwrap();
    receive(&dying, Duration::ZERO, Duration::from_secs(1)).await;
    drop(dying);
    let back = receive(&living, Duration::from_secs(5), MINUTE).await.remove(0);
    assert_eq!(back.receive_count, 1);
}

#[tokio::test]
async fn a_process_that_lives_on_keeps_its_messages_through_a_loss_of_its_connections() {
    let Some(url) = fresh_database().await else { return };
    let (holder, other) = (open(&url).await, open(&url).await);
    other.send(message("held")).await.unwrap();
    let held = receive(&holder, Duration::ZERO, MINUTE).await.remove(0);
    for _ in 0..4 {
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keelson'
            AND datname = current_database() AND pid <> pg_backend_pid()";
        execute(&url, all).await;
        let deadline = Instant::now() + Duration::from_millis(1500);
        while Instant::now() < deadline {
            let seen = other.receive(Receive { max: 10, wait: Duration::ZERO, visibility: MINUTE }).await;
            assert!(seen.unwrap_or_default().is_empty(), "stolen from a process that lives");
            sleep(Duration::from_millis(100)).await;
        }
    }
    delete(&holder, &[held.receipt]).await.remove(0).unwrap();
}

#[tokio::test]
async fn a_message_of_another_process_ends_a_long_poll_at_once() {
    let Some(url) = fresh_database().await else { return };
    let (sender, receiver) = (open(&url).await, open(&url).await);
    for round in 0..3 {
        let poll = async { (receive(&receiver, Duration::from_secs(20), MINUTE).await, Instant::now()) };
        let send = async {
            // Until the poll surely waits, and not shortly before one of its looks.
            sleep(Duration::from_millis(400)).await;
            sender.send(message(round.to_string())).await.unwrap();
            Instant::now()
        };
        let ((messages, ended), sent) = tokio::join!(poll, send);
        assert_eq!(messages[0].body, round.to_string());
        let took = ended.saturating_duration_since(sent);
        assert!(took < Duration::from_millis(400), "{took:?}");
    }
}

#[tokio::test]
async fn a_message_of_which_no_notification_tells_is_found_within_two_seconds() {
    let Some(url) = fresh_database().await else { return };
    let receiver = open(&url).await;
    let silent = "
        WITH place AS (SELECT nextval('keelson_queue.message_places') AS seq), clock AS (SELECT 1000000 AS now),
        body AS (INSERT INTO keelson_queue.messages SELECT seq, gen_random_uuid(), now, '{}', 'unheard' FROM place, clock)
        INSERT INTO keelson_queue.deliveries (seq, due_at, sent_at, receive_count) SELECT seq, now, now, 0 FROM place, clock";
    let send = async {
        sleep(Duration::from_millis(500)).await;
        execute(&url, silent).await;
        Instant::now()
    };
    let poll = async { (receive(&receiver, Duration::from_secs(20), MINUTE).await, Instant::now()) };
    let (sent, (messages, ended)) = tokio::join!(send, poll);
    assert_eq!(messages[0].body, "unheard");
    assert!(ended.saturating_duration_since(sent) < Duration::from_secs(2));
}

#[tokio::test]
async fn eight_processes_may_start_at_once_on_an_empty_database() {
    let Some(url) = fresh_database().await else { return };
    let queues = join_all((0..8).map(|_| open(&url))).await;
    assert_eq!(number(&url, "SELECT count(*) FROM keelson_queue.schema_version").await, 1);
    assert_eq!(number(&url, "SELECT count(*) FROM keelson_queue.workers").await, 8);
    for queue in &queues {
        queue.send(message("works")).await.unwrap();
    }
    assert_eq!(queues[0].stats().await.unwrap().visible, 8);
}

#[tokio::test]
async fn the_tables_of_a_newer_program_are_refused_and_left_alone() {
    let Some(url) = fresh_database().await else { return };
    open(&url).await.send(message("kept")).await.unwrap();
    execute(&url, "UPDATE keelson_queue.schema_version SET version = 99").await;
    let with_password = url.replace("postgres@", "postgres:hunter2@");
    let text = try_open(&with_password).await.unwrap_err().to_string();
    assert!(text.contains("schema version 99") && text.contains("newer Keelson"), "{text}");
    assert!(text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");
    assert_eq!(number(&url, "SELECT count(*) FROM keelson_queue.messages").await, 1);
}

#[tokio::test]
async fn a_start_that_was_cut_off_leaves_nothing_and_the_next_one_goes_on() {
    let Some(url) = fresh_database().await else { return };
    // What another program has in the way, as if half of the schema were there.
    execute(&url, "CREATE SCHEMA keelson_queue; CREATE TABLE keelson_queue.workers (x int)").await;
    let text = try_open(&url).await.unwrap_err().to_string();
    assert!(text.contains("something else"), "{text}");
    let left = "SELECT count(*) FROM pg_tables WHERE schemaname = 'keelson_queue'";
    assert_eq!(number(&url, left).await, 1, "the transaction was not undone");
    execute(&url, "DROP TABLE keelson_queue.workers").await;
    open(&url).await.send(message("works")).await.unwrap();
}

#[tokio::test]
async fn a_user_who_may_do_little_needs_no_more() {
    let Some(url) = fresh_database().await else { return };
    let name = format!("little_{}", url.rsplit('_').next().unwrap());
    execute(&url, &format!("CREATE ROLE {name} LOGIN")).await;
    let little = url.replace("postgres@", &format!("{name}@"));
    let refused = try_open(&little).await.unwrap_err().to_string();
    assert!(refused.contains("42501") && refused.contains("CREATE SCHEMA keelson_queue AUTHORIZATION"), "{refused}");

    open(&url).await;
    let grants = format!(
        "GRANT USAGE ON SCHEMA keelson_queue TO {name}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA keelson_queue TO {name};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA keelson_queue TO {name}"
    );
    execute(&url, &grants).await;
    let queue = open(&little).await;
    queue.send(message("dead")).await.unwrap();
    let doomed = receive(&queue, Duration::ZERO, MINUTE).await.remove(0);
    queue.dead_letter(&doomed, "bad \0 reason").await.unwrap();
    assert_eq!(queue.redrive(chassis::ports::DeadLetters::All).await.unwrap(), 1);
    assert_eq!(queue.purge().await.unwrap(), 1);
    assert_eq!(queue.stats().await.unwrap().dead, Some(0));
}

#[tokio::test]
async fn characters_that_text_of_postgresql_cannot_hold_arrive_as_they_were_sent() {
    let Some(url) = fresh_database().await else { return };
    let queue = open(&url).await;
    let body = "a\0b\u{fffe}c";
    let attributes = BTreeMap::from([("n\0".to_owned(), "\0".to_owned())]);
    queue.send(NewMessage::new(body, attributes.clone())).await.unwrap();
    let message = receive(&queue, Duration::ZERO, MINUTE).await.remove(0);
    assert_eq!((message.body.as_str(), message.attributes), (body, attributes));
}
