//! Measures the embedded queue on this machine's disk: `cargo run --release -p backends --example queue_numbers [DIR]`.
#![expect(clippy::print_stdout, reason = "the numbers are its result")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backends::QueueContext;
use backends::local::SqliteQueue;
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::{NewMessage, Queue, QueueError, Receive};
use chassis::telemetry::storage::StorageFailures;
use tokio::task::JoinSet;

const BODY_BYTES: usize = 1000;
const BACKLOG: usize = 1_000_000;

fn message() -> NewMessage {
    NewMessage::new("x".repeat(BODY_BYTES), BTreeMap::from([("correlation_id".into(), "abc".into())]))
}

fn open(path: &Path) -> Result<Arc<SqliteQueue>, backends::OpenError> {
    let clock = SystemClock::shared();
    let ids = Ids::new(clock.clone());
    SqliteQueue::open(path, QueueContext { clock, ids, max_receive_count: 3, failures: StorageFailures::default() })
}

fn report(what: &str, messages: usize, started: Instant) {
    let took = started.elapsed();
    println!("{what:<44} {:>10.0} messages/s {took:>12.2?}", messages as f64 / took.as_secs_f64());
}

/// `senders` callers at once, each sending `batches` times `batch` messages.
async fn send(queue: &Arc<SqliteQueue>, senders: usize, batches: usize, batch: usize) {
    let (started, before) = (Instant::now(), queue.commits());
    let mut tasks: JoinSet<Result<(), QueueError>> = JoinSet::new();
    for _ in 0..senders {
        let queue = queue.clone();
        tasks.spawn(async move {
            for _ in 0..batches {
                queue.send_batch(vec![message(); batch]).await?;
            }
            Ok(())
        });
    }
    let failed = tasks.join_all().await.into_iter().filter(Result::is_err).count();
    let commits = queue.commits() - before;
    let what = format!("send: {senders} callers, batches of {batch}");
    report(&what, senders * batches * batch, started);
    println!("{:<44} {commits:>10} commits, {failed} callers failed", "");
}

/// Each of `receivers` takes and deletes ten at a time.
async fn work(queue: &Arc<SqliteQueue>, receivers: usize, rounds: usize) {
    let started = Instant::now();
    let mut tasks: JoinSet<Result<usize, QueueError>> = JoinSet::new();
    for _ in 0..receivers {
        let queue = queue.clone();
        tasks.spawn(async move {
            let mut done = 0;
            for _ in 0..rounds {
                let request = Receive { max: 10, wait: Duration::ZERO, visibility: Duration::from_secs(60) };
                let receipts: Vec<_> = queue.receive(request).await?.into_iter().map(|m| m.receipt).collect();
                queue.delete(&receipts).await?;
                done += receipts.len();
            }
            Ok(done)
        });
    }
    let done = tasks.join_all().await.into_iter().flatten().sum();
    report(&format!("receive and delete: {receivers} callers"), done, started);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let path = Path::new(&folder).join("queue-numbers.db");
    let queue = open(&path)?;
    send(&queue, 1, 500, 1).await;
    send(&queue, 64, 200, 1).await;
    send(&queue, 256, 200, 1).await;
    send(&queue, 32, 100, 10).await;
    work(&queue, 16, 100).await;
    let have = usize::try_from(queue.stats().await?.visible)?;
    send(&queue, 64, (BACKLOG - have) / 640, 10).await;
    println!("{:?}", queue.stats().await?);
    work(&queue, 1, 100).await;
    work(&queue, 16, 100).await;
    let started = Instant::now();
    queue.stats().await?;
    println!("stats over a million messages: {:?}", started.elapsed());
    drop(queue);
    let started = Instant::now();
    let queue = open(&path)?;
    println!("opening a million messages: {:?}", started.elapsed());
    let started = Instant::now();
    let purged = queue.purge().await?;
    report("purge", usize::try_from(purged)?, started);
    drop(queue);
    std::fs::remove_file(&path)?;
    Ok(())
}
