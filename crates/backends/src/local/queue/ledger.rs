//! What the queue does, as statements inside the writer's transaction.

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::ids::Ids;
use chassis::ports::lease::Lease;
use chassis::ports::queue::{
    Attributes, MAX_VISIBILITY, Message, MessageId, NewMessage, QueueError, QueueStats, Receipt, Receive,
};
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::{faults, sql};

/// What the queue decides by.
pub(super) struct Rules {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<Ids>,
    pub(super) max_receive_count: u32,
}

/// What the file holds, kept beside it: counting a million rows for each look at the statistics would stop the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    pub(super) last_seq: i64,
    pub(super) messages: u64,
    pub(super) dead: u64,
    /// Whether something may be visible sooner than receivers know.
    pub(super) stirred: bool,
}

/// One look of a receive.
pub(super) struct Taken {
    pub(super) messages: Vec<Message>,
    /// Without messages: how long until one falls due.
    pub(super) next_due: Option<Duration>,
}

/// Why one receipt of several failed.
pub(super) enum Fault {
    /// It is the receipt's own fault; the others go on.
    Queue(QueueError),
    /// The file failed; nothing of the call counts.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// A message's place, and its deliveries so far.
type Counted = (i64, u32);

struct Delivery {
    nonce: Option<i64>,
    received_at: Option<i64>,
    receive_count: u32,
}

impl Delivery {
    fn is_of(&self, lease: Lease) -> bool {
        self.nonce == Some(lease.nonce.cast_signed())
    }
}

/// The open transaction.
pub(super) struct Ledger<'c> {
    pub(super) connection: &'c Connection,
    pub(super) rules: &'c Rules,
    pub(super) tally: Tally,
    /// Why no message can be taken at this moment.
    pub(super) trouble: Option<String>,
}

impl Tally {
    /// Counts, once when the file is opened.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
        Ok(Self {
            last_seq: number(sql::LAST_SEQ)?,
            messages: number(sql::COUNT_MESSAGES)?.unsigned_abs(),
            dead: number(sql::COUNT_DEAD)?.unsigned_abs(),
            stirred: false,
        })
    }
}

impl Ledger<'_> {
    pub(super) fn now(&self) -> i64 {
        self.rules.clock.now().as_microsecond()
    }

    pub(super) fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    pub(super) fn number(&self, sql: &str, params: impl Params) -> rusqlite::Result<Option<i64>> {
        self.connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional().map(Option::flatten)
    }

    pub(super) fn send(&mut self, messages: Vec<NewMessage>) -> rusqlite::Result<Vec<Result<MessageId, QueueError>>> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(match message.validate().and_then(|()| self.check()) {
                Ok(()) => Ok(self.insert(&message)?),
                Err(error) => Err(error),
            });
        }
        Ok(answers)
    }

    fn check(&self) -> Result<(), QueueError> {
        self.trouble.clone().map_or(Ok(()), |trouble| Err(QueueError::Unavailable(trouble)))
    }

    fn insert(&mut self, message: &NewMessage) -> rusqlite::Result<MessageId> {
        let now = self.now();
        let id = self.rules.ids.uuid().to_string();
        let attributes =
            serde_json::to_string(&message.attributes).map_err(|error| faults::unwritable(error.into()))?;
        let seq = self.tally.last_seq + 1;
        self.execute(sql::INSERT_MESSAGE, params![seq, id, now, attributes, message.body])?;
        self.execute(sql::INSERT_DELIVERY, params![seq, later(now, message.delay)])?;
        self.tally.last_seq = seq;
        self.tally.messages += 1;
        self.tally.stirred = true;
        Ok(MessageId(id))
    }

    pub(super) fn receive(&mut self, request: Receive) -> rusqlite::Result<Taken> {
        let now = self.now();
        let (picked, spent) = self.ready(now, request.max)?;
        for (seq, receive_count) in spent {
            self.bury(seq, receive_count, &format!("delivered {receive_count} times and never deleted"))?;
        }
        let mut messages = Vec::with_capacity(picked.len());
        for (seq, receive_count) in picked {
            messages.push(self.deliver(seq, receive_count + 1, now, request.visibility)?);
        }
        let next_due = if messages.is_empty() { self.next_due(now)? } else { None };
        Ok(Taken { messages, next_due })
    }

    /// The visible messages, oldest first: those to deliver, and those that were delivered often enough.
    fn ready(&self, now: i64, max: usize) -> rusqlite::Result<(Vec<Counted>, Vec<Counted>)> {
        let (mut picked, mut spent) = (Vec::new(), Vec::new());
        let mut statement = self.connection.prepare_cached(sql::READY)?;
        let mut rows = statement.query([now])?;
        while picked.len() < max
            && let Some(row) = rows.next()?
        {
            let (seq, receive_count) = (row.get(0)?, row.get(1)?);
            let pile = if receive_count >= self.rules.max_receive_count { &mut spent } else { &mut picked };
            pile.push((seq, receive_count));
        }
        Ok((picked, spent))
    }

    fn deliver(&self, seq: i64, receive_count: u32, now: i64, visibility: Duration) -> rusqlite::Result<Message> {
        let (_, nonce) = self.rules.ids.trace();
        self.execute(sql::DELIVER, params![seq, later(now, visibility), nonce.cast_signed(), now])?;
        self.connection.prepare_cached(sql::READ_MESSAGE)?.query_row([seq], |row| {
            Ok(Message {
                id: MessageId(row.get(0)?),
                receipt: Lease { seq, nonce }.receipt(),
                body: row.get(1)?,
                attributes: read_attributes(row, 2)?,
                sent_at: read_time(row, 3)?,
                receive_count,
            })
        })
    }

    fn next_due(&self, now: i64) -> rusqlite::Result<Option<Duration>> {
        let due_at = self.number(sql::NEXT_DUE, [])?;
        Ok(due_at.map(|due_at| Duration::from_micros(u64::try_from(due_at - now).unwrap_or(0))))
    }

    /// Runs `act` for each receipt; a stale one does not hold up the others.
    pub(super) fn for_each(
        &mut self,
        receipts: &[Receipt],
        mut act: impl FnMut(&mut Self, Lease) -> Result<(), Fault>,
    ) -> rusqlite::Result<Vec<Result<(), QueueError>>> {
        let mut answers = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let outcome = Lease::from_receipt(receipt).map_err(Fault::Queue).and_then(|lease| act(self, lease));
            answers.push(match outcome {
                Ok(()) => Ok(()),
                Err(Fault::Queue(error)) => Err(error),
                Err(Fault::Sql(error)) => return Err(error),
            });
        }
        Ok(answers)
    }

    fn find(&self, seq: i64) -> rusqlite::Result<Option<Delivery>> {
        let read =
            |row: &Row<'_>| Ok(Delivery { nonce: row.get(0)?, received_at: row.get(1)?, receive_count: row.get(2)? });
        self.connection.prepare_cached(sql::READ_DELIVERY)?.query_row([seq], read).optional()
    }

    /// The delivery that the receipt is of, while it is the present one.
    fn held(&self, lease: Lease) -> Result<Delivery, Fault> {
        let delivery = self.find(lease.seq)?.filter(|delivery| delivery.is_of(lease));
        delivery.ok_or(Fault::Queue(QueueError::StaleReceipt))
    }

    pub(super) fn delete(&mut self, lease: Lease) -> Result<(), Fault> {
        match self.find(lease.seq)? {
            None => Ok(()),
            Some(delivery) if delivery.is_of(lease) => Ok(self.remove(lease.seq)?),
            Some(_) => Err(Fault::Queue(QueueError::StaleReceipt)),
        }
    }

    pub(super) fn remove(&mut self, seq: i64) -> rusqlite::Result<()> {
        self.execute(sql::DELETE_DELIVERY, [seq])?;
        self.execute(sql::DELETE_MESSAGE, [seq])?;
        self.tally.messages -= 1;
        Ok(())
    }

    pub(super) fn hide(&mut self, lease: Lease, visibility: Duration) -> Result<(), Fault> {
        let delivery = self.held(lease)?;
        let due_at = later(self.now(), visibility);
        if due_at > later(delivery.received_at.unwrap_or(0), MAX_VISIBILITY) {
            let text = format!("hidden for more than {MAX_VISIBILITY:?} since the receive");
            return Err(Fault::Queue(QueueError::Invalid(text)));
        }
        self.execute(sql::HIDE, [lease.seq, due_at])?;
        self.tally.stirred = true;
        Ok(())
    }

    /// Ends the receipt too: what waits for another attempt must not be taken for the lease of a process that died.
    pub(super) fn retry(&mut self, lease: Lease, pause: Duration) -> Result<(), Fault> {
        self.hide(lease, pause)?;
        self.execute(sql::END_LEASE, [lease.seq])?;
        Ok(())
    }

    /// Ends the receipt too: a second release must not uncount twice.
    pub(super) fn release(&mut self, lease: Lease, pause: Duration) -> Result<(), Fault> {
        self.retry(lease, pause)?;
        self.execute(sql::UNCOUNT, [lease.seq])?;
        if pause.is_zero() {
            self.execute(sql::OWN_PLACE, [lease.seq])?;
        }
        Ok(())
    }

    pub(super) fn dead_letter(&mut self, lease: Lease, reason: &str) -> Result<(), Fault> {
        let delivery = self.held(lease)?;
        self.bury(lease.seq, delivery.receive_count, reason)?;
        Ok(())
    }

    fn bury(&mut self, seq: i64, receive_count: u32, reason: &str) -> rusqlite::Result<()> {
        self.execute(sql::INSERT_DEAD, params![seq, receive_count, reason, self.now()])?;
        self.execute(sql::DELETE_DELIVERY, [seq])?;
        self.tally.messages -= 1;
        self.tally.dead += 1;
        Ok(())
    }

    pub(super) fn stats(&self) -> rusqlite::Result<QueueStats> {
        let now = self.now();
        let count = |sql| Ok::<_, rusqlite::Error>(self.number(sql, [now])?.unwrap_or(0).unsigned_abs());
        let (hidden, in_flight) = (count(sql::COUNT_HIDDEN)?, count(sql::COUNT_IN_FLIGHT)?);
        let oldest = self.number(sql::OLDEST, [])?;
        let age = |sent_at: i64| Duration::from_micros(u64::try_from(now - sent_at).unwrap_or(0)).as_secs();
        Ok(QueueStats {
            visible: self.tally.messages.saturating_sub(hidden),
            in_flight,
            delayed: hidden.saturating_sub(in_flight),
            dead: Some(self.tally.dead),
            oldest_age_seconds: oldest.map(age),
        })
    }

    /// Whether the file can be read, and messages can be taken.
    pub(super) fn ping(&self) -> rusqlite::Result<Result<(), QueueError>> {
        self.number(sql::PING, [])?;
        Ok(self.check())
    }
}

/// `from` plus `by`; both come from checked requests, so neither is near the end of time.
pub(super) fn later(from: i64, by: Duration) -> i64 {
    from.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn read_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let unreadable =
        |error: jiff::Error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, error.into());
    Timestamp::from_microsecond(row.get(column)?).map_err(unreadable)
}

pub(super) fn read_attributes(row: &Row<'_>, column: usize) -> rusqlite::Result<Attributes> {
    let unreadable =
        |error: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into());
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(unreadable)
}
