//! A database of PostgreSQL, over a few connections.
//!
//! Each call is one statement, which is one way there and back and one transaction. Those of the same moment share it
//! where the statement is made for that (`together`).

mod binding;
mod together;

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::together::Together;
use super::SqlError;
use super::database::{Database, Statement};
use super::value::{Row, Value};
use crate::gather::Gatherer;
use crate::postgres::Address;
use crate::postgres::connections::{Connections, Setup};
use crate::postgres::session_bounds;

/// The pause between two looks for connections that nobody uses.
const IDLE_INTERVAL: Duration = Duration::from_secs(15);

/// One schema of a database.
pub(crate) struct PostgresDatabase {
    connections: Arc<Connections<Session>>,
    together: Vec<(&'static Statement, Gatherer<Together>)>,
    place: String,
    /// They end with this.
    _tasks: JoinSet<()>,
}

/// Sessions that see one schema.
#[derive(Debug)]
struct Session {
    schema: &'static str,
}

const PREPARE_SESSION: &str = concat!(
    "SELECT set_config('search_path', $1 || ', pg_catalog', false), set_config('jit', 'off', false), ",
    session_bounds!()
);

#[async_trait]
impl Setup for Session {
    type Facts = ();

    async fn prepare(&self, connection: &mut PgConnection) -> Result<Option<()>, sqlx::Error> {
        let query = sqlx::query(PREPARE_SESSION).persistent(false).bind(self.schema);
        let row = query.fetch_one(connection).await?;
        Ok(if row.try_get("reads_only")? { None } else { Some(()) })
    }
}

impl PostgresDatabase {
    /// Connects when it is first asked. `shared` are the statements that are executed for many callers at once.
    pub(crate) fn new(address: &Address, schema: &'static str, shared: &[&'static Statement]) -> Self {
        let connections = Connections::new(address.options.clone(), Session { schema });
        let mut tasks = JoinSet::new();
        let together = shared.iter().map(|statement| {
            let (gatherer, work) = Gatherer::new(Together { statement, connections: Arc::clone(&connections) });
            tasks.spawn(work);
            (*statement, gatherer)
        });
        let together = together.collect();
        tasks.spawn(close_idle(Arc::clone(&connections)));
        Self { connections, together, place: address.to_string(), _tasks: tasks }
    }
}

async fn close_idle(connections: Arc<Connections<Session>>) {
    loop {
        sleep(IDLE_INTERVAL).await;
        connections.close_idle();
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn execute(&self, statement: &'static Statement, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        binding::check(&values)?;
        if let Some((_, gatherer)) = self.together.iter().find(|(known, _)| ptr::eq(*known, statement)) {
            let size_bytes = values.iter().map(Value::size_bytes).sum();
            let answer = gatherer.call(vec![values], size_bytes).await?.pop();
            return answer.unwrap_or_else(|| Err(SqlError::Other("PostgreSQL gave no answer for the call".into())));
        }
        let mut lent = self.connections.lend().await?;
        let rows = if statement.is_shared {
            lent.rows(binding::many(statement.postgres, &[values])).await?
        } else {
            lent.rows(binding::one(statement.postgres, values)).await?
        };
        rows.iter().map(binding::read).collect()
    }
}

impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDatabase").field("place", &self.place).finish_non_exhaustive()
    }
}
