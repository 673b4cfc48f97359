//! One transaction of the writer: a command that fails takes only itself back.

use std::time::Duration;

use chassis::ports::queue::Receipt;

use super::inbox::Job;
use super::ledger::Ledger;
use super::{faults, sql};

/// Runs the group, after what is to be released. An error is the file's, and nothing of it is done.
pub(super) fn transact(
    ledger: &mut Ledger<'_>,
    group: &mut [Box<dyn Job>],
    returned: &[Receipt],
) -> rusqlite::Result<()> {
    ledger.execute(sql::BEGIN, [])?;
    if let ([job], []) = (&mut *group, returned) {
        return alone(ledger, job.as_mut());
    }
    // One that was delivered again meanwhile is stale and stays where it is.
    ledger.for_each(returned, |ledger, lease| ledger.release(lease, Duration::ZERO))?;
    for job in group {
        attempt(ledger, job.as_mut())?;
    }
    ledger.execute(sql::COMMIT, []).map(drop)
}

/// A transaction of one command needs no way to take back a part of it, which costs more than a send's two statements.
fn alone(ledger: &mut Ledger<'_>, job: &mut dyn Job) -> rusqlite::Result<()> {
    let before = ledger.tally;
    let end = match job.run(ledger) {
        Ok(()) => sql::COMMIT,
        Err(error) if ledger.connection.is_autocommit() || faults::is_of_the_file(&error) => return Err(error),
        Err(_) => {
            ledger.tally = before;
            sql::ROLLBACK
        }
    };
    ledger.execute(end, []).map(drop)
}

/// A statement that fails takes back its own command only, unless SQLite gave up the whole transaction.
fn attempt(ledger: &mut Ledger<'_>, job: &mut dyn Job) -> rusqlite::Result<()> {
    ledger.execute(sql::SAVEPOINT, [])?;
    let before = ledger.tally;
    if let Err(error) = job.run(ledger) {
        if ledger.connection.is_autocommit() || faults::is_of_the_file(&error) {
            return Err(error);
        }
        ledger.tally = before;
        ledger.execute(sql::SAVEPOINT_ROLLBACK, [])?;
    }
    ledger.execute(sql::SAVEPOINT_RELEASE, []).map(drop)
}
