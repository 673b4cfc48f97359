//! One look of a receive: what it takes, and what becomes of it when nobody waits any more.

use std::sync::Arc;
use std::time::Duration;

use chassis::ports::lease::Lease;
use chassis::ports::queue::Attributes;
use chassis::ports::{Message, MessageId, QueueError, Receipt, Receive};
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::core::Core;
use super::receipts::{self, Act};
use super::{error, micros, sql};
use crate::gather::CALL_TIMEOUT;

/// The end of a look's time in which an answer may come, but nothing may be begun.
const LAST_MOMENTS: Duration = Duration::from_millis(700);

/// What a look brought.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) messages: Vec<Message>,
    /// Without messages: how long until one falls due.
    pub(super) next_due: Option<Duration>,
    /// Messages that went to the dead letters instead.
    spent: i64,
    /// Where the first one was.
    first_due_at: Option<i64>,
}

/// A look that goes on when its caller has left: a statement that was cut off may have taken something.
pub(super) async fn take(core: &Arc<Core>, request: Receive) -> Result<Taken, QueueError> {
    let (reply, answer) = oneshot::channel();
    let looking = Arc::clone(core);
    core.tasks.spawn(async move {
        let outcome = look(&looking, request).await;
        let handover = outcome.map(|taken| Handover { taken: Some(taken), core: Arc::clone(&looking) });
        if let Err(Ok(unwanted)) = reply.send(handover) {
            hand_back(&looking, unwanted.accept()).await;
        }
    });
    let outcome = answer.await.unwrap_or_else(|_| Err(QueueError::Unavailable("the queue is closed".into())));
    outcome.map(Handover::accept)
}

/// On its way from the look to its receiver.
struct Handover {
    taken: Option<Taken>,
    core: Arc<Core>,
}

impl Handover {
    fn accept(mut self) -> Taken {
        self.taken.take().unwrap_or_default()
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.core.give_back(taken.messages.into_iter().map(|message| message.receipt));
        }
    }
}

async fn hand_back(core: &Arc<Core>, taken: Taken) {
    let receipts: Vec<_> = taken.messages.into_iter().map(|message| message.receipt).collect();
    if !receipts.is_empty() && release(core, &receipts).await.is_err() {
        core.give_back(receipts);
    }
}

/// Gives back what this process took and does not want.
pub(super) async fn release(core: &Arc<Core>, receipts: &[Receipt]) -> Result<(), QueueError> {
    core.rewind();
    receipts::act(core, Act::Release, receipts, Duration::ZERO).await.map(drop)
}

/// From where the last one ended, and from the beginning when there is nothing.
async fn look(core: &Arc<Core>, request: Receive) -> Result<Taken, QueueError> {
    let deadline = Instant::now() + CALL_TIMEOUT;
    let mut from = core.mark();
    loop {
        let begun = Instant::now();
        let taken = look_from(core, request, from, deadline).await?;
        match taken.first_due_at {
            Some(due_at) => core.advance(from, due_at, begun.elapsed()),
            None if taken.spent > 0 => {}
            None if from > i64::MIN => from = i64::MIN,
            None => return Ok(taken),
        }
        if !taken.messages.is_empty() || Instant::now() >= deadline {
            return Ok(taken);
        }
    }
}

async fn look_from(core: &Arc<Core>, request: Receive, from: i64, deadline: Instant) -> Result<Taken, QueueError> {
    let mut lent = core.connections.lend_until(deadline).await?;
    let latest = lent.server_time_in(lent.time_left().saturating_sub(LAST_MOMENTS));
    // All messages of one receive share it: the place tells them apart, and each receive draws another.
    let (_, nonce) = core.ids.trace();
    let query = sqlx::query(sql::RECEIVE).bind(from).bind(latest);
    let query = query.bind(i64::try_from(request.max).unwrap_or(1)).bind(micros(request.visibility));
    let query = query.bind(nonce.cast_signed()).bind(core.connections.worker());
    let limit = i32::try_from(core.max_receive_count).unwrap_or(i32::MAX);
    let outcome = lent.rows(query.bind(limit)).await;
    if outcome.is_err() {
        core.undo_receive(nonce.cast_signed());
    }
    let rows = outcome?;
    let (taken, now) = read(&rows, nonce).map_err(|error| error::sort(&error))?;
    if now >= latest {
        // The server's clock was set, or the statement lay about: nothing was looked at.
        lent.discard();
        return Err(QueueError::Timeout);
    }
    Ok(taken)
}

fn read(rows: &[PgRow], nonce: u64) -> Result<(Taken, i64), sqlx::Error> {
    let Some(first) = rows.first() else { return Err(sqlx::Error::RowNotFound) };
    let first_due_at: Option<i64> = first.try_get("due_at")?;
    let next_due: Option<i64> = first.try_get("next_due")?;
    let messages = match first_due_at {
        Some(_) => rows.iter().map(|row| read_message(row, nonce)).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let next_due = next_due.map(|due| Duration::from_micros(u64::try_from(due).unwrap_or(0)));
    Ok((Taken { messages, next_due, spent: first.try_get("spent")?, first_due_at }, first.try_get("now")?))
}

fn read_message(row: &PgRow, nonce: u64) -> Result<Message, sqlx::Error> {
    let seq = row.try_get("seq")?;
    let receive_count: i32 = row.try_get("receive_count")?;
    Ok(Message {
        id: read_id(row)?,
        receipt: Lease { seq, nonce }.receipt(),
        body: read_body(row)?,
        attributes: read_attributes(row)?,
        sent_at: read_time(row, "sent_at")?,
        receive_count: receive_count.unsigned_abs(),
    })
}

pub(super) fn read_id(row: &PgRow) -> Result<MessageId, sqlx::Error> {
    row.try_get::<Uuid, _>("id").map(|id| MessageId(id.to_string()))
}

pub(super) fn read_body(row: &PgRow) -> Result<String, sqlx::Error> {
    String::from_utf8(row.try_get("body")?).map_err(|error| sqlx::Error::Decode(error.utf8_error().into()))
}

pub(super) fn read_attributes(row: &PgRow) -> Result<Attributes, sqlx::Error> {
    serde_json::from_str(row.try_get("attributes")?).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(super) fn read_time(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(row.try_get(column)?).map_err(|error| sqlx::Error::Decode(error.into()))
}
