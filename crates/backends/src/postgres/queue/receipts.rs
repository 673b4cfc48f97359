//! What a receipt can do: statements on many of them, and an answer for each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chassis::ports::lease::Lease;
use chassis::ports::queue::{MAX_VISIBILITY, validate_batch_len};
use chassis::ports::{QueueError, Receipt};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::core::Core;
use super::{error, micros, sql};

/// What a place held before the statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    nonce: Option<i64>,
    /// Whether the statement did it.
    pub(super) done: bool,
    too_long: bool,
}

impl Found {
    pub(super) fn is_of(self, lease: Lease) -> bool {
        self.nonce == Some(lease.nonce.cast_signed())
    }
}

/// What is done to deliveries that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Goes on holding them.
    Hide,
    /// Hands them back uncounted.
    Release,
    /// Hands them back counted.
    Retry,
}

impl Act {
    fn statement(self) -> &'static str {
        match self {
            Self::Hide => sql::HIDE,
            Self::Release => sql::RELEASE,
            Self::Retry => sql::RETRY,
        }
    }
}

/// Does it for each receipt whose delivery is the present one; a stale one does not hold up the others.
pub(super) async fn act(
    core: &Arc<Core>,
    act: Act,
    receipts: &[Receipt],
    by: Duration,
) -> Result<Vec<Result<(), QueueError>>, QueueError> {
    validate_batch_len(receipts.len())?;
    let leases: Vec<_> = receipts.iter().map(Lease::from_receipt).collect();
    let known: Vec<Lease> = leases.iter().filter_map(|lease| lease.as_ref().ok().copied()).collect();
    let mut found = if known.is_empty() { HashMap::new() } else { execute(core, act, &known, by).await? };
    let answer = |lease: Result<Lease, QueueError>| {
        let lease = lease?;
        let it = *found.get(&lease.seq).filter(|it| it.is_of(lease)).ok_or(QueueError::StaleReceipt)?;
        if it.too_long {
            let text = format!("hidden for more than {MAX_VISIBILITY:?} since the receive");
            return Err(QueueError::Invalid(text));
        }
        if !it.done {
            return Err(QueueError::StaleReceipt);
        }
        if act != Act::Hide {
            // It ends the receipt, and a second one of the same call finds that.
            found.remove(&lease.seq);
        }
        Ok(())
    };
    Ok(leases.into_iter().map(answer).collect())
}

async fn execute(
    core: &Arc<Core>,
    act: Act,
    leases: &[Lease],
    by: Duration,
) -> Result<HashMap<i64, Found>, QueueError> {
    let (seqs, nonces) = columns(leases);
    let mut lent = core.connections.lend().await?;
    let query = sqlx::query(act.statement()).bind(seqs).bind(nonces);
    let rows = lent.rows(query.bind(micros(by)).bind(micros(MAX_VISIBILITY))).await?;
    // What is hidden for longer changes nothing for those who wait, beyond when to look again.
    core.changed();
    read(&rows)
}

/// Leases as columns.
pub(super) fn columns(leases: &[Lease]) -> (Vec<i64>, Vec<i64>) {
    leases.iter().map(|lease| (lease.seq, lease.nonce.cast_signed())).unzip()
}

pub(super) fn read(rows: &[PgRow]) -> Result<HashMap<i64, Found>, QueueError> {
    let read = |row: &PgRow| {
        let found =
            Found { nonce: row.try_get("nonce")?, done: row.try_get("done")?, too_long: row.try_get("too_long")? };
        Ok((row.try_get("seq")?, found))
    };
    rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(|error| error::sort(&error))
}
