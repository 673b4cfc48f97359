//! Many messages as one object. `batch` is a roll-up that is being filled, `write` makes it durable, `filing` is the way
//! of one message into it.
//!
//! One task has all that are open, one for each day on which messages were sent. It closes them by size, by age, by the
//! number of their messages; at once when the end begins or the store is down, as whoever waits must learn of it soon.

mod batch;
mod filing;
mod write;

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::ports::{MessageId, ObjectError, ObjectKey};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use self::batch::{Batch, Closed};
pub(super) use self::write::Writer;
use super::metrics::Closing;
use crate::config::RollupConfig;
use crate::model::record::day_of;

/// Messages of one roll-up.
pub const MAX_MESSAGES: usize = 10_000;
/// Days that are open at once: most messages are of today, and some of yesterday.
const MAX_DAYS: usize = 4;
/// Roll-ups that are written at once.
const WRITES: usize = 4;
/// Lines that wait for their turn.
const WAITING: usize = 256;
/// The age in place of the configured one when there is no time: what comes in a moment goes with it.
const HURRY: Duration = Duration::from_millis(100);

/// One message, ready to be stored.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: MessageId,
    pub(super) sent_at: Timestamp,
    pub(super) correlation_id: Option<String>,
    /// Its record, on one line.
    pub(super) record: String,
    /// Where it would lie by itself.
    pub(super) single: ObjectKey,
}

/// What became of a line.
#[derive(Debug, Clone)]
pub(super) enum Filed {
    /// It is durable, in this object.
    Stored { key: ObjectKey, closed_at: Instant },
    /// The same, and another delivery of the message brought it there.
    Duplicate { key: ObjectKey, closed_at: Instant },
    /// The roll-up cannot be written, for a reason of its own: each message is to be stored by itself.
    Alone,
    /// The store is down, and the end has begun.
    Down(ObjectError),
}

/// Where lines go.
#[derive(Debug, Clone)]
pub(super) struct Rollups(mpsc::Sender<Filing>);

/// A line, and who waits for it.
type Filing = (Line, oneshot::Sender<Filed>);

impl Rollups {
    /// Waits until the line is durable, or is not to be; `None` when the other end is gone.
    pub(super) async fn file(&self, line: Line) -> Option<Filed> {
        let (reply, filed) = oneshot::channel();
        self.0.send((line, reply)).await.ok()?;
        filed.await.ok()
    }
}

pub(super) fn channel() -> (Rollups, mpsc::Receiver<Filing>) {
    let (lines, filings) = mpsc::channel(WAITING);
    (Rollups(lines), filings)
}

/// Fills, closes and writes roll-ups until every sender is gone.
pub(super) async fn run(
    mut filings: mpsc::Receiver<Filing>,
    writer: Writer,
    config: RollupConfig,
    lifecycle: Lifecycle,
) {
    let mut open = Open { config, batches: Vec::new() };
    let mut writes = FuturesUnordered::new();
    loop {
        let is_draining = lifecycle.is_draining();
        let hurry = match (is_draining, writer.is_store_down()) {
            (true, _) => Some(Closing::Drain),
            (false, true) => Some(Closing::Outage),
            (false, false) => None,
        };
        let may_write = writes.len() < WRITES;
        let due = open.due(hurry);
        tokio::select! {
            Some(()) = writes.next() => {}
            filing = filings.recv(), if may_write => match filing {
                Some((line, reply)) => {
                    for (closed, why) in open.add(line, reply) {
                        writes.push(writer.write(closed, why));
                    }
                }
                None => break,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if may_write && due.is_some() => {
                for (closed, why) in open.take_due(hurry) {
                    writes.push(writer.write(closed, why));
                }
            }
            () = lifecycle.draining().cancelled(), if !is_draining => {}
        }
    }
    for batch in open.batches.drain(..) {
        writes.push(writer.write(batch.close(), Closing::Drain));
    }
    while writes.next().await.is_some() {}
}

/// The roll-ups that are being filled, the oldest first.
struct Open {
    config: RollupConfig,
    batches: Vec<Batch>,
}

impl Open {
    fn age(&self, hurry: Option<Closing>) -> Duration {
        if hurry.is_some() { HURRY.min(self.config.age) } else { self.config.age }
    }

    /// When the next one is to be closed.
    fn due(&self, hurry: Option<Closing>) -> Option<Instant> {
        Some(self.batches.first()?.begun() + self.age(hurry))
    }

    fn take_due(&mut self, hurry: Option<Closing>) -> Vec<(Closed, Closing)> {
        let (now, age) = (Instant::now(), self.age(hurry));
        let due = self.batches.extract_if(.., |batch| batch.begun() + age <= now);
        due.map(|batch| (batch.close(), hurry.unwrap_or(Closing::Age))).collect()
    }

    /// Puts a line where it belongs; answers what is full, or has to make way.
    fn add(&mut self, line: Line, reply: oneshot::Sender<Filed>) -> Vec<(Closed, Closing)> {
        let day = day_of(line.sent_at);
        let mut closed = Vec::new();
        let full = |batch: &mut Batch| batch.day() == day && !batch.has_room_for(&line, self.config.size_bytes);
        closed.extend(self.batches.extract_if(.., full).map(|batch| (batch.close(), Closing::Size)));
        let at = self.batches.iter().position(|batch| batch.day() == day).unwrap_or_else(|| {
            if self.batches.len() == MAX_DAYS {
                closed.push((self.batches.remove(0).close(), Closing::Days));
            }
            self.batches.push(Batch::new(day));
            self.batches.len() - 1
        });
        self.batches[at].add(line, reply);
        let why = match &self.batches[at] {
            batch if batch.size_bytes() >= self.config.size_bytes => Closing::Size,
            batch if batch.messages() >= MAX_MESSAGES => Closing::Messages,
            _ => return closed,
        };
        closed.push((self.batches.remove(at).close(), why));
        closed
    }
}

#[cfg(test)]
mod tests;
