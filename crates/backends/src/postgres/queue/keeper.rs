//! What has to be looked after each second: leases of the dead, what is to be given back, connections at rest.

use std::sync::Arc;
use std::time::Duration;

use chassis::ports::QueueError;
use chassis::ports::queue::MAX_BATCH;
use sqlx::Row as _;
use tokio::time::sleep;

use super::core::Core;
use super::{error, micros, receiving, sql};

/// The pause between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a worker may have no connection at all before it counts as dead. A process that lost them all at once, as
/// when the server starts anew, has the first one again much sooner.
const GRACE: Duration = Duration::from_secs(3);

/// Runs for ever.
pub(super) async fn keep(core: Arc<Core>) {
    loop {
        // Not all processes at the same moment.
        sleep(INTERVAL.mul_f64(0.8 + 0.4 * core.ids.fraction())).await;
        core.connections.close_idle();
        give_back(&core).await;
        if let Err(cause) = sweep(&core).await {
            tracing::debug!(cause = %cause, "the leases of dead processes could not be looked for");
        }
    }
}

/// Gives back what this process took and nobody here wants.
async fn give_back(core: &Arc<Core>) {
    let returned = core.take_returned();
    for receipts in returned.receipts.chunks(MAX_BATCH) {
        if receiving::release(core, receipts).await.is_err() {
            core.give_back(receipts.iter().cloned());
        }
    }
    if !returned.nonces.is_empty() && undo(core, &returned.nonces).await.is_err() {
        returned.nonces.into_iter().for_each(|nonce| core.undo_receive(nonce));
    }
}

async fn undo(core: &Arc<Core>, nonces: &[i64]) -> Result<(), QueueError> {
    let mut lent = core.connections.lend().await?;
    lent.rows(sqlx::query(sql::UNDO_RECEIVES).bind(core.connections.worker()).bind(nonces)).await?;
    core.rewind();
    core.changed();
    Ok(())
}

/// Gives back the leases of processes that are gone. That a process lives shows by the lock that its connections share,
/// which the server drops with the last of them.
async fn sweep(core: &Arc<Core>) -> Result<(), QueueError> {
    let mut lent = core.connections.lend().await?;
    let query = sqlx::query(sql::SWEEP).bind(micros(GRACE)).bind(sql::LOCK_SPACE).bind(sql::SWEEP_LOCK);
    for row in lent.rows(query).await? {
        let worker: i32 = row.try_get("id").map_err(|error| error::sort(&error))?;
        let freed = lent.row(sqlx::query(sql::BURY_WORKER).bind(worker)).await?;
        let freed: i64 = freed.try_get(0).map_err(|error| error::sort(&error))?;
        if freed > 0 {
            tracing::warn!(
                queue.worker = worker,
                queue.leases = freed,
                "a process is gone; what it held is given back"
            );
            core.rewind();
            core.changed();
        }
    }
    Ok(())
}
