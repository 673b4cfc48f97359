//! Measures the queue on PostgreSQL: `cargo run --release -p backends --example postgres_queue_numbers URL [BACKLOG]`, on
//! an empty database. Compare with `pgbench -M prepared` on the same server.
#![expect(clippy::print_stdout, reason = "the numbers are its result")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backends::aws::{Aws, AwsSettings};
use backends::{QueueContext, open_queue};
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::{NewMessage, Queue, QueueError, Receive};
use chassis::telemetry::storage::StorageFailures;
use tokio::task::JoinSet;

const BODY_BYTES: usize = 1000;

fn message() -> NewMessage {
    NewMessage::new("x".repeat(BODY_BYTES), BTreeMap::from([("correlation_id".into(), "abc".into())]))
}

async fn open(url: &str) -> Result<Arc<dyn Queue>, backends::OpenError> {
    let clock = SystemClock::shared();
    let ids = Ids::new(clock.clone());
    let context = QueueContext { clock, ids, max_receive_count: 3, failures: StorageFailures::default() };
    open_queue(url, &Aws::new(AwsSettings { region: "us-east-1".into(), endpoint_url: None }), context).await
}

fn report(what: &str, messages: usize, started: Instant) {
    let took = started.elapsed();
    println!("{what:<44} {:>10.0} messages/s {took:>12.2?}", messages as f64 / took.as_secs_f64());
}

/// `senders` callers at once, each sending `batches` times `batch` messages.
async fn send(queue: &Arc<dyn Queue>, senders: usize, batches: usize, batch: usize) {
    let started = Instant::now();
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
    report(
        &format!("send: {senders} callers, batches of {batch}, {failed} failed"),
        senders * batches * batch,
        started,
    );
}

/// Each of `receivers` takes and deletes ten at a time.
async fn work(queue: &Arc<dyn Queue>, receivers: usize, rounds: usize) {
    let started = Instant::now();
    let mut tasks: JoinSet<Result<usize, QueueError>> = JoinSet::new();
    for _ in 0..receivers {
        let queue = queue.clone();
        tasks.spawn(async move {
            let mut done = 0;
            for _ in 0..rounds {
                let request = Receive { max: 10, wait: Duration::ZERO, visibility: Duration::from_secs(60) };
                let receipts: Vec<_> = queue.receive(request).await?.into_iter().map(|m| m.receipt).collect();
                if !receipts.is_empty() {
                    queue.delete(&receipts).await?;
                }
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
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("the URL of an empty database is missing")?;
    let backlog: usize = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let queue = open(&url).await?;
    send(&queue, 1, 500, 1).await;
    send(&queue, 64, 200, 1).await;
    send(&queue, 256, 50, 1).await;
    work(&queue, 1, 300).await;
    work(&queue, 16, 100).await;
    queue.purge().await?;
    send(&queue, 64, backlog / 640, 10).await;
    work(&queue, 1, 300).await;
    work(&queue, 16, 300).await;
    let started = Instant::now();
    println!("{:?} in {:?}", queue.stats().await?, started.elapsed());
    let started = Instant::now();
    let purged = queue.purge().await?;
    report("purge", usize::try_from(purged)?, started);
    Ok(())
}
