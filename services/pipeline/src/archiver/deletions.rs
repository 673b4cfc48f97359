//! Removes stored messages from the queue in batches, and tries again with the entries that failed, and only those.
//!
//! What failed waits aside for its next try, so that it holds up neither the others nor the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chassis::ports::queue::MAX_BATCH;
use chassis::ports::{Queue, QueueError, Receipt};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::leases::Held;

/// Stored messages that wait to be deleted for the first time, and again as many that wait aside; beyond it the work
/// waits.
const WAITING: usize = 1024;
/// Further tries after the first, with growing pauses of 1 s and more.
const MORE_TRIES: usize = 4;
/// Calls at once, so that a queue at a distance holds nothing up.
const CALLS: usize = 8;
/// The pause while the queue is down, which is no try: a stored message that came back would be counted for it, and
/// after a few times be taken for one that cannot be stored.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);

/// How long the first of a batch waits for others where each call is paid for: far less than any lease.
const LINGER: Duration = Duration::from_millis(100);

/// Where the work puts what is stored. Leases are held until the deletion, so that no other worker gets a stored
/// message.
pub(super) type Deletions = mpsc::Sender<Held>;

pub(super) fn channel() -> (Deletions, mpsc::Receiver<Held>) {
    mpsc::channel(WAITING)
}

/// Deletes until every sender is gone.
pub(super) async fn run(stored: mpsc::Receiver<Held>, queue: Arc<dyn Queue>) {
    Deleter { queue, aside: BTreeMap::new(), last_number: 0 }.run(stored).await;
}

/// A stored message, and the pauses that are left to it.
struct Entry {
    held: Held,
    pauses: ExponentialBackoff,
}

struct Deleter {
    queue: Arc<dyn Queue>,
    /// What failed, by the time of its next try; the number keeps those of one moment apart.
    aside: BTreeMap<(Instant, u64), Entry>,
    last_number: u64,
}

impl Deleter {
    async fn run(&mut self, mut stored: mpsc::Receiver<Held>) {
        let queue = Arc::clone(&self.queue);
        let mut calls = FuturesUnordered::new();
        let mut fresh = Vec::with_capacity(MAX_BATCH);
        loop {
            let may_call = calls.len() < CALLS;
            let next_due = self.aside.first_key_value().map_or_else(Instant::now, |((due, _), _)| *due);
            tokio::select! {
                Some(outcome) = calls.next() => self.put_aside(outcome),
                taken = stored.recv_many(&mut fresh, MAX_BATCH), if may_call && self.aside.len() < WAITING => {
                    if taken == 0 {
                        break;
                    }
                    let until = Instant::now() + if queue.profile().is_metered { LINGER } else { Duration::ZERO };
                    while fresh.len() < MAX_BATCH && Instant::now() < until {
                        tokio::select! {
                            Some(held) = stored.recv() => fresh.push(held),
                            Some(outcome) = calls.next() => self.put_aside(outcome),
                            () = sleep_until(until) => {}
                        }
                    }
                    calls.push(delete_once(fresh.drain(..).map(Entry::new).collect(), &*queue));
                }
                () = sleep_until(next_due), if may_call && !self.aside.is_empty() => {
                    calls.push(delete_once(self.take_due(), &*queue));
                }
            }
        }
        while let Some(outcome) = calls.next().await {
            self.put_aside(outcome);
        }
        self.try_a_last_time().await;
    }

    fn put_aside(&mut self, Outcome { failed, is_outage }: Outcome) {
        for mut entry in failed {
            match if is_outage { Some(OUTAGE_PAUSE) } else { entry.pauses.next() } {
                Some(pause) => {
                    self.last_number += 1;
                    self.aside.insert((Instant::now() + pause, self.last_number), entry);
                }
                None => report_left(1),
            }
        }
    }

    fn take_due(&mut self) -> Vec<Entry> {
        let now = Instant::now();
        let mut due = Vec::new();
        while due.len() < MAX_BATCH
            && let Some(first) = self.aside.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        due
    }

    /// The end waits for no pauses, and not for a queue that deletes nothing at all, twice.
    async fn try_a_last_time(&mut self) {
        let mut entries: VecDeque<_> = std::mem::take(&mut self.aside).into_values().collect();
        let (mut left, mut in_vain) = (0, 0);
        while !entries.is_empty() && in_vain < 2 {
            let batch: Vec<_> = entries.drain(..entries.len().min(MAX_BATCH)).collect();
            let size = batch.len();
            let Outcome { failed, is_outage } = delete_once(batch, &*self.queue).await;
            if failed.len() < size {
                left += failed.len();
                in_vain = 0;
                continue;
            }
            in_vain += 1;
            if is_outage { entries.extend(failed) } else { left += failed.len() }
        }
        left += entries.len();
        if left > 0 {
            report_left(left);
        }
    }
}

impl Entry {
    fn new(held: Held) -> Self {
        Self { held, pauses: ExponentialBuilder::default().with_jitter().with_max_times(MORE_TRIES).build() }
    }
}

fn report_left(messages: usize) {
    warn!(messages, "stored messages could not be deleted: they will come back and be found stored");
}

struct Outcome {
    /// Those that are worth another try.
    failed: Vec<Entry>,
    /// Whether the queue as a whole is down.
    is_outage: bool,
}

async fn delete_once(mut batch: Vec<Entry>, queue: &dyn Queue) -> Outcome {
    if queue.profile().takes_stale_receipts {
        let before = batch.len();
        batch.retain(|entry| !entry.held.is_lost());
        let messages = before - batch.len();
        if messages > 0 {
            warn!(messages, "stored messages were held for too long: they come back and are found stored");
        }
    }
    if batch.is_empty() {
        return Outcome { failed: batch, is_outage: false };
    }
    let receipts: Vec<Receipt> = batch.iter().map(|entry| entry.held.receipt().clone()).collect();
    let answers = match queue.delete(&receipts).await {
        Ok(answers) => answers,
        Err(error) => {
            warn!(cause = %error, "a batch could not be deleted");
            let is_outage = matches!(error, QueueError::Unavailable(_) | QueueError::Timeout);
            return Outcome { failed: batch, is_outage };
        }
    };
    let mut failed = Vec::new();
    for (entry, answer) in batch.into_iter().zip(answers) {
        match answer {
            Ok(()) => {}
            Err(QueueError::StaleReceipt) => info!("a stored message was delivered again in the meantime"),
            Err(_) => failed.push(entry),
        }
    }
    Outcome { failed, is_outage: false }
}
