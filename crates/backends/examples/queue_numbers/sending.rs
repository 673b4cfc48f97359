//! How fast is sent: by one caller and by many, one message at a time, and by batches.

use super::Outcome;
use super::side::Side;
use super::table::Table;

/// Callers, messages of a batch, messages in all.
const SENDS: [(usize, usize, usize); 4] = [(1, 1, 1_000), (64, 1, 50_000), (256, 1, 100_000), (32, 10, 100_000)];

pub(crate) fn measure(side: &mut Side, table: &mut Table) -> Outcome<()> {
    for (callers, batch, messages) in SENDS {
        side.send(callers, batch, messages / 10)?;
        let sent = side.send(callers, batch, messages)?;
        table.info(&format!("send, callers: {callers}, batches of {batch}"), format!("{:.0}/s", sent.per_second()));
    }
    Ok(())
}
