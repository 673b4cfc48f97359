//! What is in work stays hidden: before half the visibility timeout has passed its lease is extended.
//!
//! A process that stood still for longer has lost its leases, and others may work on its messages by now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::ports::queue::MAX_BATCH;
use chassis::ports::{Queue, QueueError, Receipt};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

/// The part of a lease that is not counted on, for the way of the answer that gave it; and after which each look is made
/// which leases are to be extended.
const MARGIN: u32 = 10;

/// Calls at once, so that the last leases do not wait for the first ones.
const CALLS: usize = 8;

/// The deliveries that are held at this moment, and until when.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: Mutex<HashMap<Receipt, Instant>>,
}

/// One held delivery. Dropping it lets the lease go, so that no panic can leave a message hidden.
#[derive(Debug)]
pub(super) struct Held {
    leases: Arc<Leases>,
    receipt: Receipt,
}

impl Leases {
    pub(super) fn hold(self: &Arc<Self>, receipt: Receipt, visibility: Duration) -> Held {
        self.lock().insert(receipt.clone(), end_of(Instant::now(), visibility));
        Held { leases: Arc::clone(self), receipt }
    }

    fn let_go(&self, receipt: &Receipt) {
        self.lock().remove(receipt);
    }

    /// Those that end before `until`.
    fn ending(&self, until: Instant) -> Vec<Receipt> {
        let held = self.lock();
        held.iter().filter(|(_, end)| **end <= until).map(|(receipt, _)| receipt.clone()).collect()
    }

    fn extended(&self, receipt: &Receipt, until: Instant) {
        if let Some(end) = self.lock().get_mut(receipt) {
            *end = until;
        }
    }

    /// Drops what is over.
    fn drop_lost(&self, now: Instant) {
        self.lock().retain(|_, until| now < *until);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Receipt, Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    pub(super) fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Whether it has run out, or is somebody else's.
    pub(super) fn is_lost(&self) -> bool {
        self.leases.lock().get(&self.receipt).is_none_or(|until| *until <= Instant::now())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.leases.let_go(&self.receipt);
    }
}

/// Extends leases for ever: each before half of `visibility` has passed, and again at the next look when that failed. What
/// is held for a shorter time costs no call.
pub(super) async fn extend(leases: Arc<Leases>, queue: Arc<dyn Queue>, visibility: Duration) {
    loop {
        sleep(visibility / MARGIN).await;
        let now = Instant::now();
        if queue.profile().takes_stale_receipts {
            leases.drop_lost(now);
        }
        for several in leases.ending(now + visibility / 2).chunks(MAX_BATCH * CALLS) {
            let calls = several.chunks(MAX_BATCH).map(|batch| extend_batch(&leases, &*queue, batch, visibility));
            join_all(calls).await;
        }
    }
}

async fn extend_batch(leases: &Leases, queue: &dyn Queue, batch: &[Receipt], visibility: Duration) {
    // What was let go meanwhile is handed back, or deleted.
    let batch: Vec<_> = batch.iter().filter(|receipt| leases.lock().contains_key(receipt)).cloned().collect();
    if batch.is_empty() {
        return;
    }
    let until = end_of(Instant::now(), visibility);
    match queue.change_visibility(&batch, visibility).await {
        Ok(answers) => take_note(leases, &batch, &answers, until),
        Err(error) => warn!(cause = %error, "leases could not be extended"),
    }
}

fn end_of(begun: Instant, visibility: Duration) -> Instant {
    begun + visibility - visibility / MARGIN
}

/// A stale lease is somebody else's message now: the work goes on and finds it stored, or stores it first.
fn take_note(leases: &Leases, batch: &[Receipt], answers: &[Result<(), QueueError>], until: Instant) {
    for (receipt, answer) in batch.iter().zip(answers) {
        match answer {
            Ok(()) => leases.extended(receipt, until),
            Err(QueueError::StaleReceipt) => {
                debug!("a lease went stale");
                leases.let_go(receipt);
            }
            // Held for as long as a queue allows.
            Err(error @ QueueError::Invalid(_)) => {
                warn!(cause = %error, "a lease cannot be extended any more");
                leases.let_go(receipt);
            }
            Err(error) => warn!(cause = %error, "a lease could not be extended"),
        }
    }
}
