//! The dead-letter half of the ledger, and what works on many rows.
//!
//! Whatever may touch a million rows goes in slices: each is one short command of the writer, so that sends and
//! receives pass between two of them.

use chassis::ports::queue::{DeadLetter, DeadLetterSummary, MessageId};
use rusqlite::{OptionalExtension, Row, params};

use super::ledger::{Ledger, read_attributes, read_time};
use super::sql;

/// Rows of one slice.
pub(super) const SLICE: i64 = 1000;

/// One slice: up to a ceiling that was drawn at the first, so that what arrives meanwhile does not make it endless.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub(super) ceiling: i64,
    pub(super) done: u64,
}

impl Ledger<'_> {
    pub(super) fn dead_letters(&self, limit: usize) -> rusqlite::Result<Vec<DeadLetterSummary>> {
        let mut statement = self.connection.prepare_cached(sql::LIST_DEAD)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        statement.query_map([limit], read_summary)?.collect()
    }

    pub(super) fn find_dead_letter(&self, id: &MessageId) -> rusqlite::Result<Option<DeadLetter>> {
        self.connection.prepare_cached(sql::FIND_DEAD)?.query_row([&id.0], read_dead_letter).optional()
    }

    pub(super) fn redrive_ids(&mut self, ids: &[MessageId]) -> rusqlite::Result<u64> {
        self.for_each_dead(ids, Self::revive)
    }

    pub(super) fn purge_dead_ids(&mut self, ids: &[MessageId]) -> rusqlite::Result<u64> {
        self.for_each_dead(ids, Self::purge_one_dead)
    }

    /// Ids that are not there, or not there any more, are passed over.
    fn for_each_dead(
        &mut self,
        ids: &[MessageId],
        act: fn(&mut Self, i64, i64) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<u64> {
        let mut done = 0;
        for id in ids {
            let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let found = self.connection.prepare_cached(sql::FIND_DEAD_SEQ)?.query_row([&id.0], read).optional()?;
            if let Some((number, seq)) = found {
                act(self, number, seq)?;
                done += 1;
            }
        }
        Ok(done)
    }

    fn revive(&mut self, number: i64, seq: i64) -> rusqlite::Result<()> {
        self.execute(sql::DELETE_DEAD, [number])?;
        self.execute(sql::INSERT_DELIVERY, [seq, self.now()])?;
        self.tally.dead -= 1;
        self.tally.messages += 1;
        self.tally.stirred = true;
        Ok(())
    }

    /// Redrives one slice of all dead letters.
    pub(super) fn redrive_some(&mut self, ceiling: Option<i64>) -> rusqlite::Result<Slice> {
        let ceiling = self.dead_ceiling(ceiling)?;
        let dead = self.some_dead(ceiling)?;
        for &(number, seq) in &dead {
            self.revive(number, seq)?;
        }
        Ok(Slice { ceiling, done: dead.len() as u64 })
    }

    /// Deletes one slice of all dead letters.
    pub(super) fn purge_some_dead(&mut self, ceiling: Option<i64>) -> rusqlite::Result<Slice> {
        let ceiling = self.dead_ceiling(ceiling)?;
        let dead = self.some_dead(ceiling)?;
        for &(number, seq) in &dead {
            self.purge_one_dead(number, seq)?;
        }
        Ok(Slice { ceiling, done: dead.len() as u64 })
    }

    fn purge_one_dead(&mut self, number: i64, seq: i64) -> rusqlite::Result<()> {
        self.execute(sql::DELETE_DEAD, [number])?;
        self.execute(sql::DELETE_MESSAGE, [seq])?;
        self.tally.dead -= 1;
        Ok(())
    }

    /// Deletes one slice of the main queue.
    pub(super) fn purge_some(&mut self, ceiling: Option<i64>) -> rusqlite::Result<Slice> {
        let ceiling = ceiling.unwrap_or(self.tally.last_seq);
        let mut statement = self.connection.prepare_cached(sql::SOME_MESSAGES)?;
        let seqs: Vec<i64> =
            statement.query_map(params![ceiling, SLICE], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for &seq in &seqs {
            self.remove(seq)?;
        }
        Ok(Slice { ceiling, done: seqs.len() as u64 })
    }

    fn dead_ceiling(&self, ceiling: Option<i64>) -> rusqlite::Result<i64> {
        match ceiling {
            Some(ceiling) => Ok(ceiling),
            None => Ok(self.number(sql::LAST_DEAD, [])?.unwrap_or(0)),
        }
    }

    fn some_dead(&self, ceiling: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
        let mut statement = self.connection.prepare_cached(sql::SOME_DEAD)?;
        statement.query_map(params![ceiling, SLICE], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}

fn read_summary(row: &Row<'_>) -> rusqlite::Result<DeadLetterSummary> {
    Ok(DeadLetterSummary {
        id: MessageId(row.get(0)?),
        size_bytes: row.get::<_, i64>(1)?.unsigned_abs(),
        attributes: read_attributes(row, 2)?,
        sent_at: read_time(row, 3)?,
        receive_count: row.get(4)?,
        reason: row.get(5)?,
        dead_at: read_time(row, 6)?,
    })
}

fn read_dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        id: MessageId(row.get(0)?),
        body: row.get(1)?,
        attributes: read_attributes(row, 2)?,
        sent_at: read_time(row, 3)?,
        receive_count: row.get(4)?,
        reason: row.get(5)?,
        dead_at: read_time(row, 6)?,
    })
}
