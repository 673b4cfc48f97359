//! The queue on PostgreSQL: many processes share it, and none of them owns it.
//!
//! Everything is one statement on two tables (`sql`, `schema.sql`), executed over a few connections (`session`).
//! Sends and deletions of the same moment share a transaction (`sending`). A receive takes what is due and
//! locked by nobody (`receiving`), and waits for a notification otherwise (`listener`). Each process is a worker whose
//! connections share an advisory lock; when that is gone for some seconds, whoever notices gives its leases back
//! (`keeper`).

mod admin;
mod admin_sql;
mod core;
mod error;
pub mod inspect;
mod keeper;
mod listener;
mod receipts;
mod receiving;
mod schema;
mod sending;
mod session;
mod sql;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::ports::lease::Lease;
use chassis::ports::long_poll::LongPoll;
use chassis::ports::queue::{validate_batch, validate_batch_len, validate_visibility};
use chassis::ports::{
    DeadLetter, DeadLetterSummary, DeadLetters, Message, MessageId, NewMessage, Queue, QueueError, QueueStats, Receipt,
    Receive,
};
use sqlx::Row as _;
use tokio::task::JoinSet;

use self::admin::Counts;
use self::core::Core;
use self::receipts::Act;
use self::sending::{Deletions, Sends};
use self::session::{Connections, Worker};
use super::address::Address;
use crate::gather::Gatherer;
use crate::{OpenError, QueueContext};

/// The queue in one database.
pub struct PostgresQueue {
    core: Arc<Core>,
    sends: Gatherer<Sends>,
    deletions: Gatherer<Deletions>,
    counts: Counts,
    place: String,
    /// They end with this.
    _tasks: JoinSet<()>,
}

impl PostgresQueue {
    /// Opens the queue in the database that `rest` names: what follows `postgres:` in its URL. Makes the tables where
    /// there are none. Needs PostgreSQL 12 or newer, and sessions of its own: no pooler that shares them by transaction.
    ///
    /// # Errors
    /// When the URL is not understood, the server cannot be reached within five seconds, or its tables are not ours;
    /// the message says how to fix it and shows no password.
    pub async fn open(rest: &str, context: QueueContext) -> Result<Arc<Self>, OpenError> {
        let address = Address::parse(rest)?;
        schema::prepare(&address).await?;
        let connections = Connections::new(address.options.clone(), Worker::default());
        let unfit = |error: QueueError| OpenError::Database {
            kind: schema::KIND,
            place: address.to_string(),
            problem: error.to_string(),
            remedy: "the queue needs a PostgreSQL server that can be reached and takes writes".into(),
        };
        let worker = new_worker(&connections).await.map_err(unfit)?;
        connections.set_worker(worker);
        let core = Core::new(connections, context.ids, context.max_receive_count);
        let (sends, sending) = Gatherer::new(Sends(Arc::clone(&core)));
        let (deletions, deleting) = Gatherer::new(Deletions(Arc::clone(&core)));
        let mut tasks = JoinSet::new();
        tasks.spawn(sending);
        tasks.spawn(deleting);
        tasks.spawn(listener::listen(Arc::clone(&core), address.options.clone()));
        tasks.spawn(listener::notify(Arc::clone(&core)));
        tasks.spawn(keeper::keep(Arc::clone(&core)));
        let place = address.to_string();
        Ok(Arc::new(Self { core, sends, deletions, counts: Counts::default(), place, _tasks: tasks }))
    }
}

async fn new_worker(connections: &Arc<Connections>) -> Result<i32, QueueError> {
    let row = connections.lend().await?.row(sqlx::query(sql::NEW_WORKER)).await?;
    row.try_get("id").map_err(|error| error::sort(&error))
}

/// As the tables have it.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[async_trait]
impl Queue for PostgresQueue {
    async fn send_batch(&self, messages: Vec<NewMessage>) -> Result<Vec<Result<MessageId, QueueError>>, QueueError> {
        validate_batch(&messages)?;
        let checks: Vec<Result<(), QueueError>> = messages.iter().map(NewMessage::validate).collect();
        let good: Vec<_> = messages.into_iter().zip(&checks).filter(|(_, check)| check.is_ok()).collect();
        let good: Vec<NewMessage> = good.into_iter().map(|(message, _)| message).collect();
        let mut ids = Vec::new();
        if !good.is_empty() {
            let size_bytes = good.iter().map(NewMessage::size_bytes).sum();
            ids = self.sends.call(good, size_bytes).await?;
        }
        let mut ids = ids.into_iter();
        let missing = || QueueError::Other("PostgreSQL gave no answer for the message".into());
        Ok(checks.into_iter().map(|check| check.and_then(|()| ids.next().ok_or_else(missing))).collect())
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Message>, QueueError> {
        request.validate()?;
        let mut poll = LongPoll::start(self.core.subscribe(), request.wait);
        loop {
            poll.look();
            let taken = receiving::take(&self.core, request).await?;
            if !taken.messages.is_empty() || !poll.nap(taken.next_due).await {
                return Ok(taken.messages);
            }
        }
    }

    async fn delete(&self, receipts: &[Receipt]) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_batch_len(receipts.len())?;
        let leases: Vec<_> = receipts.iter().map(Lease::from_receipt).collect();
        let known: Vec<Lease> = leases.iter().filter_map(|lease| lease.as_ref().ok().copied()).collect();
        let answers = if known.is_empty() { Vec::new() } else { self.deletions.call(known, 0).await? };
        let mut answers = answers.into_iter();
        let missing = || Err(QueueError::Other("PostgreSQL gave no answer for the receipt".into()));
        Ok(leases.into_iter().map(|lease| lease.and_then(|_| answers.next().unwrap_or_else(missing))).collect())
    }

    async fn change_visibility(
        &self,
        receipts: &[Receipt],
        visibility: Duration,
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(visibility)?;
        receipts::act(&self.core, Act::Hide, receipts, visibility).await
    }

    async fn release(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(pause)?;
        self.core.rewind();
        receipts::act(&self.core, Act::Release, receipts, pause).await
    }

    async fn retry(&self, receipts: &[Receipt], pause: Duration) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        validate_visibility(pause)?;
        receipts::act(&self.core, Act::Retry, receipts, pause).await
    }

    async fn dead_letter(&self, message: &Message, reason: &str) -> Result<(), QueueError> {
        let lease = Lease::from_receipt(&message.receipt)?;
        // The one character that text of PostgreSQL cannot hold.
        let reason = reason.replace('\0', "\u{fffd}");
        let query = sqlx::query(sql::DEAD_LETTER).bind(lease.seq).bind(lease.nonce.cast_signed()).bind(reason);
        match self.core.connections.lend().await?.rows(query).await?.is_empty() {
            true => Err(QueueError::StaleReceipt),
            false => Ok(()),
        }
    }

    async fn ping(&self) -> Result<(), QueueError> {
        admin::ping(&self.core).await
    }

    async fn stats(&self) -> Result<QueueStats, QueueError> {
        self.counts.get(&self.core).await
    }

    async fn purge(&self) -> Result<u64, QueueError> {
        admin::slices(&self.core, &admin::PURGE).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterSummary>, QueueError> {
        admin::list_dead(&self.core, limit).await
    }

    async fn find_dead_letter(&self, id: &MessageId) -> Result<Option<DeadLetter>, QueueError> {
        admin::find_dead(&self.core, id).await
    }

    async fn redrive(&self, which: DeadLetters) -> Result<u64, QueueError> {
        self.core.rewind();
        admin::redrive(&self.core, which).await
    }

    async fn purge_dead_letters(&self, which: DeadLetters) -> Result<u64, QueueError> {
        admin::purge_dead(&self.core, which).await
    }
}

impl fmt::Debug for PostgresQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresQueue").field("place", &self.place).finish_non_exhaustive()
    }
}
