//! What is in work stays hidden: at half the visibility timeout every lease is extended.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::ports::queue::MAX_BATCH;
use chassis::ports::{Queue, QueueError, Receipt};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

/// The deliveries that are held at this moment.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: Mutex<HashSet<Receipt>>,
}

/// One held delivery. Dropping it lets the lease go, so that no panic can leave a message hidden.
#[derive(Debug)]
pub(super) struct Held {
    leases: Arc<Leases>,
    receipt: Receipt,
}

impl Leases {
    pub(super) fn hold(self: &Arc<Self>, receipt: Receipt) -> Held {
        self.lock().insert(receipt.clone());
        Held { leases: Arc::clone(self), receipt }
    }

    fn let_go(&self, receipt: &Receipt) {
        self.lock().remove(receipt);
    }

    fn held(&self) -> Vec<Receipt> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Receipt>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    pub(super) fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leases.let_go(&self.receipt);
    }
}

/// Extends all leases for ever, each time half of `visibility` has passed.
pub(super) async fn extend(leases: Arc<Leases>, queue: Arc<dyn Queue>, visibility: Duration) {
    let mut ticks = interval(visibility / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        for batch in leases.held().chunks(MAX_BATCH) {
            match queue.change_visibility(batch, visibility).await {
                Ok(answers) => drop_stale(&leases, batch, &answers),
                Err(error) => warn!(cause = %error, "leases could not be extended"),
            }
        }
    }
}

/// A stale lease is somebody else's message now: the work goes on and finds it stored, or stores it first.
fn drop_stale(leases: &Leases, batch: &[Receipt], answers: &[Result<(), QueueError>]) {
    for (receipt, answer) in batch.iter().zip(answers) {
        if matches!(answer, Err(QueueError::StaleReceipt)) {
            debug!("a lease went stale");
            leases.let_go(receipt);
        }
    }
}
