//! Removes stored messages from the queue in batches, and tries again with the entries that failed, and only those.

use std::sync::Arc;

use backon::{BackoffBuilder, ExponentialBuilder};
use chassis::ports::queue::MAX_BATCH;
use chassis::ports::{Queue, QueueError, Receipt};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

use super::leases::Held;

/// Stored messages that wait to be deleted; beyond it the work waits.
const WAITING: usize = 1024;

/// Where the work puts what is stored. Leases are held until the deletion, so that no other worker gets a stored message.
pub(super) type Deletions = mpsc::Sender<Held>;

pub(super) fn channel() -> (Deletions, mpsc::Receiver<Held>) {
    mpsc::channel(WAITING)
}

/// Deletes until every sender is gone.
pub(super) async fn run(mut stored: mpsc::Receiver<Held>, queue: Arc<dyn Queue>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while stored.recv_many(&mut batch, MAX_BATCH).await > 0 {
        delete(std::mem::take(&mut batch), &*queue).await;
    }
}

/// A message that cannot be deleted in all these tries comes back and is found stored.
async fn delete(mut stored: Vec<Held>, queue: &dyn Queue) {
    for pause in ExponentialBuilder::default().with_jitter().with_max_times(5).build() {
        stored = delete_once(stored, queue).await;
        if stored.is_empty() {
            return;
        }
        sleep(pause).await;
    }
    warn!(messages = stored.len(), "stored messages could not be deleted: they will come back and be found stored");
}

/// Answers which are worth another try.
async fn delete_once(stored: Vec<Held>, queue: &dyn Queue) -> Vec<Held> {
    let receipts: Vec<Receipt> = stored.iter().map(|held| held.receipt().clone()).collect();
    let answers = match queue.delete(&receipts).await {
        Ok(answers) => answers,
        Err(error) => {
            warn!(cause = %error, "a batch could not be deleted");
            return stored;
        }
    };
    let mut failed = Vec::new();
    for (held, answer) in stored.into_iter().zip(answers) {
        match answer {
            Ok(()) => {}
            Err(QueueError::StaleReceipt) => info!("a stored message was delivered again in the meantime"),
            Err(_) => failed.push(held),
        }
    }
    failed
}
