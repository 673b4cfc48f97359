//! Events in an SQL database: one body for all of them.

mod statements;

use std::sync::Arc;

use analytics::model::{Event, EventFilter, EventId, NewEvent};
use analytics::store::{EventCounts, EventStore, Recorded, StoreError};
use async_trait::async_trait;

use super::SqlError;
use super::database::{Database, Statement};
use super::store::StoreDatabase;
use super::value::{Row, Value};
use crate::migrations::{Migration, Migrations};

/// The tables of analytics.
pub static ANALYTICS: Migrations = Migrations {
    service: "analytics",
    kind: "store of events",
    schema: "keelson_analytics",
    history: "analytics_migrations",
    lock: -13,
    sqlite: &[Migration {
        version: 1,
        name: "create_events",
        sql: include_str!("../../../migrations/analytics/sqlite/0001_create_events.sql"),
    }],
    postgres: &[Migration {
        version: 1,
        name: "create_events",
        sql: include_str!("../../../migrations/analytics/postgres/0001_create_events.sql"),
    }],
};

/// All events of a database.
#[derive(Debug)]
pub(crate) struct SqlEvents {
    database: StoreDatabase,
}

impl SqlEvents {
    /// The statements that PostgreSQL executes for many at once.
    pub(crate) const SHARED: [&'static Statement; 1] = [&statements::RECORD];

    /// On tables that are up to date.
    pub(crate) fn new(database: Arc<dyn Database>) -> Arc<Self> {
        Arc::new(Self { database: StoreDatabase::new(database) })
    }

    async fn record_now(&self, NewEvent { event, key }: NewEvent) -> Result<Recorded, StoreError> {
        let id = key.as_ref().map(|key| key.id.clone());
        let mut values = of_event(event);
        values.push(Value::Text(id.clone()));
        values.push(Value::Text(key.map(|key| key.fingerprint)));
        if !self.database.execute(&statements::RECORD, values).await?.is_empty() {
            return Ok(Recorded::Done);
        }
        let before = match id {
            Some(id) => self.database.find(&statements::FIND_REQUEST, id.as_str().into()).await?,
            None => None,
        };
        let other = || StoreError::Other("the event was not added, and its request was not done before".into());
        Ok(read_before(before.ok_or_else(other)?)?)
    }
}

#[async_trait]
impl EventStore for SqlEvents {
    async fn record(&self, event: NewEvent) -> Result<Recorded, StoreError> {
        self.database.call(self.record_now(event)).await
    }

    async fn count(&self, filter: &EventFilter) -> Result<EventCounts, StoreError> {
        let (first, end) = filter.bounds_micros();
        let event_type = filter.event_type.map(|event_type| event_type.as_str().to_owned());
        let mut values = vec![first.into(), end.into()];
        let statement = match (&filter.user_id, event_type) {
            (Some(user_id), event_type) => {
                values.extend([Value::Text(event_type), user_id.as_str().into()]);
                &statements::COUNT_OF_USER
            }
            (None, Some(event_type)) => {
                values.push(Value::Text(Some(event_type)));
                &statements::COUNT_OF_TYPE
            }
            (None, None) => &statements::COUNT,
        };
        let rows = self.database.call(self.database.execute(statement, values)).await?;
        Ok(rows.into_iter().map(read_count).collect::<Result<_, _>>()?)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.database.call(self.database.ping()).await?)
    }
}

fn of_event(event: Event) -> Vec<Value> {
    vec![
        event.id.0.into(),
        event.event_type.as_str().into(),
        event.event_name.as_str().into(),
        Value::Text(event.user_id),
        Value::Text(event.properties),
        event.created_at.as_microsecond().into(),
    ]
}

fn read_before(row: Row) -> Result<Recorded, SqlError> {
    let mut columns = row.read();
    let id = EventId(columns.uuid()?);
    Ok(Recorded::Before { id, event_type: columns.text()?, fingerprint: columns.text()? })
}

fn read_count(row: Row) -> Result<(String, u64), SqlError> {
    let mut columns = row.read();
    Ok((columns.text()?, columns.int()?.unsigned_abs()))
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(cause) | SqlError::Undone(cause) => Self::Unavailable(cause),
            SqlError::Timeout => Self::Timeout,
            SqlError::Taken | SqlError::Other(_) => Self::Other(error.to_string()),
        }
    }
}
