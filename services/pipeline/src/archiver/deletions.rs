//! Removes stored messages from the queue in batches, and tries again with the entries that failed, and only those.

use std::sync::Arc;

use backon::{BackoffBuilder, ExponentialBuilder};
use chassis::ports::queue::MAX_BATCH;
use chassis::ports::{Queue, QueueError, Receipt};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

use super::leases::Leases;

/// Stored messages that wait to be deleted; beyond it the work waits.
const WAITING: usize = 1024;

/// Where the work puts the receipts of what is stored.
pub(super) type Deletions = mpsc::Sender<Receipt>;

pub(super) fn channel() -> (Deletions, mpsc::Receiver<Receipt>) {
    mpsc::channel(WAITING)
}

/// Deletes until every sender is gone. Leases are held until then, so that no other worker gets a stored message.
pub(super) async fn run(mut stored: mpsc::Receiver<Receipt>, queue: Arc<dyn Queue>, leases: Arc<Leases>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while stored.recv_many(&mut batch, MAX_BATCH).await > 0 {
        delete(std::mem::take(&mut batch), &*queue, &leases).await;
    }
}

/// A message that cannot be deleted in all these tries comes back and is found stored.
async fn delete(mut receipts: Vec<Receipt>, queue: &dyn Queue, leases: &Leases) {
    for pause in ExponentialBuilder::default().with_jitter().with_max_times(5).build() {
        receipts = delete_once(receipts, queue, leases).await;
        if receipts.is_empty() {
            return;
        }
        sleep(pause).await;
    }
    warn!(messages = receipts.len(), "stored messages could not be deleted: they will come back and be found stored");
    receipts.iter().for_each(|receipt| leases.let_go(receipt));
}

/// Answers which receipts are worth another try.
async fn delete_once(receipts: Vec<Receipt>, queue: &dyn Queue, leases: &Leases) -> Vec<Receipt> {
    let answers = match queue.delete(&receipts).await {
        Ok(answers) => answers,
        Err(error) => {
            warn!(cause = %error, "a batch could not be deleted");
            return receipts;
        }
    };
    let mut failed = Vec::new();
    for (receipt, answer) in receipts.into_iter().zip(answers) {
        match answer {
            Ok(()) => leases.let_go(&receipt),
            Err(QueueError::StaleReceipt) => {
                info!("a stored message was delivered again in the meantime");
                leases.let_go(&receipt);
            }
            Err(_) => failed.push(receipt),
        }
    }
    failed
}
