//! A process with a queue open, so that its memory is its own. It does what its standard input says, a command in each
//! line, and answers each with a line: how many messages, and in how many seconds.
//!
//! `send CALLERS BATCH MESSAGES`, `work CALLERS MESSAGES` (receives ten at a time and deletes them), `stats`, `purge`.

use std::collections::BTreeMap;
use std::io::stdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backends::aws::{Aws, AwsSettings};
use backends::{OpenError, QueueContext, open_queue};
use chassis::clock::SystemClock;
use chassis::ids::Ids;
use chassis::ports::{NewMessage, Queue, QueueError, Receive};
use chassis::telemetry::storage::StorageFailures;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::Outcome;

/// The argument that makes a process one.
pub(crate) const COMMAND: &str = "worker";
/// What it says when the queue is open.
pub(crate) const READY: &str = "ready";

pub(crate) const BODY_BYTES: usize = 1000;
const RECEIVED_AT_ONCE: usize = 10;
const VISIBILITY: Duration = Duration::from_secs(600);

/// Ends with its standard input.
pub(crate) fn run(url: &str) -> Outcome<()> {
    let runtime = Runtime::new()?;
    let queue = runtime.block_on(open(url))?;
    println!("{READY}");
    for line in stdin().lines() {
        let (line, begun) = (line?, Instant::now());
        let done = runtime.block_on(obey(&queue, &line))?;
        println!("{done} {}", begun.elapsed().as_secs_f64());
    }
    Ok(())
}

async fn open(url: &str) -> Result<Arc<dyn Queue>, OpenError> {
    let clock = SystemClock::shared();
    let ids = Ids::new(clock.clone());
    let context = QueueContext { clock, ids, max_receive_count: 3, failures: StorageFailures::default() };
    open_queue(url, &Aws::new(AwsSettings { region: "us-east-1".into(), endpoint_url: None }), context).await
}

async fn obey(queue: &Arc<dyn Queue>, line: &str) -> Outcome<usize> {
    let words: Vec<&str> = line.split(' ').collect();
    Ok(match words[..] {
        ["send", callers, batch, messages] => send(queue, callers.parse()?, batch.parse()?, messages.parse()?).await?,
        ["work", callers, messages] => work(queue, callers.parse()?, messages.parse()?).await?,
        ["stats"] => usize::try_from(queue.stats().await?.visible)?,
        ["purge"] => usize::try_from(queue.purge().await?)?,
        _ => return Err(format!("unknown command `{line}`").into()),
    })
}

/// Takes up to `most` of what is left; zero when nothing is.
fn take(left: &AtomicUsize, most: usize) -> usize {
    let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(most)));
    before.unwrap_or(0).min(most)
}

async fn send(queue: &Arc<dyn Queue>, callers: usize, batch: usize, messages: usize) -> Result<usize, QueueError> {
    let left = Arc::new(AtomicUsize::new(messages));
    let mut tasks: JoinSet<Result<usize, QueueError>> = JoinSet::new();
    for _ in 0..callers {
        let (queue, left) = (queue.clone(), left.clone());
        tasks.spawn(async move {
            let mut done = 0;
            loop {
                let part = take(&left, batch);
                if part == 0 {
                    return Ok(done);
                }
                for sent in queue.send_batch(vec![message(); part]).await? {
                    sent?;
                }
                done += part;
            }
        });
    }
    tasks.join_all().await.into_iter().sum()
}

fn message() -> NewMessage {
    NewMessage::new("x".repeat(BODY_BYTES), BTreeMap::from([("correlation_id".into(), "abc".into())]))
}

/// Ends early where the queue is empty.
async fn work(queue: &Arc<dyn Queue>, callers: usize, messages: usize) -> Result<usize, QueueError> {
    let left = Arc::new(AtomicUsize::new(messages));
    let mut tasks: JoinSet<Result<usize, QueueError>> = JoinSet::new();
    for _ in 0..callers {
        let (queue, left) = (queue.clone(), left.clone());
        tasks.spawn(async move {
            let mut done = 0;
            loop {
                let max = take(&left, RECEIVED_AT_ONCE);
                if max == 0 {
                    return Ok(done);
                }
                let received = queue.receive(Receive { max, wait: Duration::ZERO, visibility: VISIBILITY }).await?;
                if received.is_empty() {
                    return Ok(done);
                }
                let receipts: Vec<_> = received.into_iter().map(|message| message.receipt).collect();
                for deleted in queue.delete(&receipts).await? {
                    deleted?;
                }
                done += receipts.len();
            }
        });
    }
    tasks.join_all().await.into_iter().sum()
}
