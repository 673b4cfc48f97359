//! An outbox in the database of its service's store.
//!
//! The store's own statements write events with its changes; these are what the relay asks for, and what records an
//! event that comes with no change.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::ports::outbox::{Event, MOST_COUNTED, Outbox, OutboxDepth, OutboxError, Position};
use chassis::telemetry::correlation::{CorrelationId, TraceContext};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use uuid::Uuid;

use super::SqlError;
use super::database::{Database, Statement};
use super::store::StoreDatabase;
use super::value::{Columns, Row, Value};

/// What is done with the table of one service.
#[derive(Debug)]
pub(crate) struct OutboxStatements {
    pub(crate) record: Statement,
    pub(crate) lead: Statement,
    pub(crate) last: Statement,
    pub(crate) read: Statement,
    pub(crate) remove: Statement,
    pub(crate) discard: Statement,
    pub(crate) depth: Statement,
}

impl OutboxStatements {
    /// Those that PostgreSQL executes for many at once.
    pub(crate) fn shared(&'static self) -> [&'static Statement; 2] {
        [&self.record, &self.remove]
    }
}

/// The statements on the table with this name.
macro_rules! outbox_statements {
    ($outbox:literal) => {
        $crate::sql::outbox::OutboxStatements {
            record: Statement::write(concat!(
                "INSERT INTO ",
                $outbox,
                " (id, entity, event_type, body, correlation_id, traceparent, occurred_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)"
            ))
            .shared_on_postgres(concat!(
                "INSERT INTO ",
                $outbox,
                " (id, entity, event_type, body, correlation_id, traceparent, occurred_at) SELECT * FROM \
                 unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int8[]) RETURNING id"
            )),
            // A file is one process's, and no other asks. On PostgreSQL whoever finds another one leading writes nothing.
            lead: Statement::read("SELECT $2 > 0").on_postgres(concat!(
                "WITH led AS (INSERT INTO ",
                $outbox,
                "_lead AS lead (relay, ends_at) SELECT $1, clock_timestamp() + $2 * interval '1 microsecond' \
                 WHERE NOT EXISTS (SELECT FROM ",
                $outbox,
                "_lead WHERE relay <> $1 AND ends_at > clock_timestamp()) \
                 ON CONFLICT (is_only) DO UPDATE SET relay = excluded.relay, ends_at = excluded.ends_at \
                 WHERE lead.relay = excluded.relay OR lead.ends_at <= clock_timestamp() RETURNING 1) \
                 SELECT $2 > 0 AND EXISTS (SELECT FROM led)"
            )),
            last: Statement::read(concat!("SELECT COALESCE(max(position), 0) FROM ", $outbox)),
            read: Statement::read(concat!(
                "SELECT position, id, entity, event_type, body, correlation_id, traceparent, occurred_at FROM ",
                $outbox,
                " WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"
            )),
            remove: Statement::write(concat!("DELETE FROM ", $outbox, " WHERE position = $1"))
                .shared_on_postgres(concat!("DELETE FROM ", $outbox, " WHERE position = ANY ($1) RETURNING position")),
            discard: Statement::write(concat!("DELETE FROM ", $outbox, " WHERE id = $1 RETURNING position")),
            depth: Statement::read(concat!(
                "SELECT count(*), (SELECT occurred_at FROM ",
                $outbox,
                " ORDER BY position LIMIT 1) FROM (SELECT 1 FROM ",
                $outbox,
                " LIMIT $1) AS counted"
            )),
        }
    };
}
pub(crate) use outbox_statements;

/// The outbox of one service.
#[derive(Debug)]
pub(crate) struct SqlOutbox {
    database: StoreDatabase,
    statements: &'static OutboxStatements,
}

impl SqlOutbox {
    pub(crate) fn new(database: Arc<dyn Database>, statements: &'static OutboxStatements) -> Arc<Self> {
        Arc::new(Self { database: StoreDatabase::new(database), statements })
    }

    async fn execute(&self, statement: &'static Statement, values: Vec<Value>) -> Result<Vec<Row>, OutboxError> {
        self.database.call(async { Ok(self.database.execute(statement, values).await?) }).await
    }

    /// The columns of the only row of a statement that always answers one.
    async fn row(&self, statement: &'static Statement, values: Vec<Value>) -> Result<Columns, OutboxError> {
        let missing = || OutboxError::Other("the database answered no row".into());
        self.execute(statement, values).await?.into_iter().next().map(Row::read).ok_or_else(missing)
    }
}

#[async_trait]
impl Outbox for SqlOutbox {
    async fn record(&self, event: Event) -> Result<(), OutboxError> {
        let mut values = vec![event.id.into(), event.entity.into()];
        values.extend(of_event(Some(&event)).into_iter().skip(1));
        self.execute(&self.statements.record, values).await.map(drop)
    }

    async fn lead(&self, relay: Uuid, lease: Duration) -> Result<bool, OutboxError> {
        let lease_micros = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX);
        Ok(self.row(&self.statements.lead, vec![relay.into(), lease_micros.into()]).await?.bool()?)
    }

    async fn last(&self) -> Result<Position, OutboxError> {
        Ok(Position(self.row(&self.statements.last, Vec::new()).await?.int()?))
    }

    async fn read(&self, after: Position, last: Position, limit: usize) -> Result<Vec<(Position, Event)>, OutboxError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.execute(&self.statements.read, vec![after.0.into(), last.0.into(), limit.into()]).await?;
        Ok(rows.into_iter().map(read_event).collect::<Result<_, _>>()?)
    }

    async fn remove(&self, delivered: &[Position]) -> Result<(), OutboxError> {
        let removals = delivered.iter().map(|position| self.execute(&self.statements.remove, vec![position.0.into()]));
        try_join_all(removals).await.map(drop)
    }

    async fn discard(&self, id: Uuid) -> Result<bool, OutboxError> {
        Ok(!self.execute(&self.statements.discard, vec![id.into()]).await?.is_empty())
    }

    async fn depth(&self) -> Result<OutboxDepth, OutboxError> {
        let most = i64::try_from(MOST_COUNTED).unwrap_or(i64::MAX);
        let mut columns = self.row(&self.statements.depth, vec![most.into()]).await?;
        let events = columns.int()?.unsigned_abs();
        Ok(OutboxDepth { events, oldest: columns.optional_int()?.map(time).transpose()? })
    }
}

/// The values of an event beside its entity, or as many that are missing.
pub(crate) fn of_event(event: Option<&Event>) -> [Value; 6] {
    let text = |text: Option<&str>| Value::Text(text.map(str::to_owned));
    [
        Value::Uuid(event.map(|event| event.id)),
        text(event.map(|event| event.event_type.as_str())),
        text(event.map(|event| event.body.as_str())),
        text(event.and_then(|event| event.correlation_id.as_ref()).map(CorrelationId::as_str)),
        text(event.and_then(|event| event.trace).map(|trace| trace.traceparent()).as_deref()),
        Value::Int(event.map(|event| event.occurred_at.as_microsecond())),
    ]
}

fn read_event(row: Row) -> Result<(Position, Event), SqlError> {
    let mut columns = row.read();
    let position = Position(columns.int()?);
    let event = Event {
        id: columns.uuid()?,
        entity: columns.uuid()?,
        event_type: columns.text()?,
        body: columns.text()?,
        correlation_id: columns.optional_text()?.and_then(|text| CorrelationId::parse(text.as_bytes())),
        trace: columns.optional_text()?.and_then(|text| TraceContext::parse(&text)),
        occurred_at: time(columns.int()?)?,
    };
    Ok((position, event))
}

fn time(micros: i64) -> Result<Timestamp, SqlError> {
    Timestamp::from_microsecond(micros).map_err(|error| SqlError::Other(error.to_string()))
}

impl From<SqlError> for OutboxError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(_) | SqlError::Undone(_) | SqlError::Timeout => Self::Unavailable(error.to_string()),
            SqlError::Taken | SqlError::Other(_) => Self::Other(error.to_string()),
        }
    }
}
