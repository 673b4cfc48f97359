//! Sends and deletions: what of many callers becomes one statement.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::ports::lease::Lease;
use chassis::ports::{MessageId, NewMessage, QueueError};
use sqlx::Row as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::core::Core;
use super::receipts::{self, Found};
use super::{error, micros, sql};
use crate::gather::Work;

/// The end of a call's time in which an answer may come, but nothing may be begun.
const LAST_MOMENTS: Duration = Duration::from_millis(700);

/// Sends messages that were checked.
#[derive(Debug)]
pub(super) struct Sends(pub(super) Arc<Core>);

/// Messages as columns.
struct Columns {
    ids: Vec<Uuid>,
    attributes: Vec<String>,
    bodies: Vec<Vec<u8>>,
    delays: Vec<i64>,
}

#[async_trait]
impl Work for Sends {
    type Entry = NewMessage;
    type Answer = MessageId;
    type Error = QueueError;

    async fn work(&self, messages: Vec<NewMessage>, deadline: Instant) -> Result<Vec<MessageId>, QueueError> {
        let columns = self.columns(messages)?;
        if !self.send(&columns, deadline).await? {
            // Nothing was sent for sure: the server's clock was set, or the statement lay about. A new session knows.
            if !self.send(&columns, deadline).await? {
                return Err(QueueError::Unavailable("PostgreSQL took the messages too late".into()));
            }
        }
        self.0.changed();
        Ok(columns.ids.iter().map(|id| MessageId(id.to_string())).collect())
    }
}

impl Sends {
    fn columns(&self, messages: Vec<NewMessage>) -> Result<Columns, QueueError> {
        let mut columns = Columns { ids: Vec::new(), attributes: Vec::new(), bodies: Vec::new(), delays: Vec::new() };
        for message in messages {
            let attributes = serde_json::to_string(&message.attributes);
            columns.attributes.push(attributes.map_err(|error| QueueError::Other(error.to_string()))?);
            columns.ids.push(self.0.ids.uuid());
            columns.bodies.push(message.body.into_bytes());
            columns.delays.push(micros(message.delay));
        }
        Ok(columns)
    }

    /// False when it came too late and nothing was done. Never tries again by itself: after an answer that was lost
    /// nobody knows, and the messages may be delivered and deleted by then, so that no key would stop a second one.
    async fn send(&self, columns: &Columns, deadline: Instant) -> Result<bool, QueueError> {
        let mut lent = self.0.connections.lend_until(deadline).await?;
        let latest = lent.server_time_in(lent.time_left().saturating_sub(LAST_MOMENTS));
        let query = sqlx::query(sql::SEND).bind(&columns.ids).bind(&columns.attributes);
        let row = lent.row(query.bind(&columns.bodies).bind(&columns.delays).bind(latest)).await?;
        let sent: i64 = row.try_get("sent").map_err(|error| error::sort(&error))?;
        if sent == 0 {
            lent.discard();
        }
        Ok(sent > 0)
    }
}

/// Deletes by receipts that were read.
#[derive(Debug)]
pub(super) struct Deletions(pub(super) Arc<Core>);

#[async_trait]
impl Work for Deletions {
    type Entry = Lease;
    type Answer = Result<(), QueueError>;
    type Error = QueueError;

    async fn work(&self, leases: Vec<Lease>, deadline: Instant) -> Result<Vec<Self::Answer>, QueueError> {
        let (seqs, nonces) = receipts::columns(&leases);
        let mut lent = self.0.connections.lend_until(deadline).await?;
        let rows = lent.rows(sqlx::query(sql::DELETE).bind(seqs).bind(nonces)).await?;
        let mut found: HashMap<i64, Found> = receipts::read(&rows)?;
        let delete = |lease: &Lease| match found.get(&lease.seq) {
            // Whoever has deleted it: it is gone.
            None => Ok(()),
            Some(it) if it.done && it.is_of(*lease) => {
                found.remove(&lease.seq);
                Ok(())
            }
            Some(_) => Err(QueueError::StaleReceipt),
        };
        Ok(leases.iter().map(delete).collect())
    }
}
