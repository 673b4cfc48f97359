//! A server of PostgreSQL as it is installed, with a database for each queue.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::runtime::{Builder, Runtime};

use self::server::Server;
use super::Outcome;

#[path = "../../tests/it/postgres/server.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "what the tests make of it")]
mod server;

pub(crate) use self::server::programs;

/// The settings that decide how durable and how fast it is.
const SETTINGS: &str = "SELECT 'PostgreSQL ' || current_setting('server_version') || string_agg(', ' || name || '=' ||
    current_setting(name), '' ORDER BY name) FROM pg_settings WHERE name IN
    ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size', 'autovacuum')";
const BACKENDS: &str = "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";

/// It ends with this.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Server,
    runtime: Runtime,
}

impl Postgres {
    /// `None`, after saying so, where it is not installed.
    pub(crate) fn start() -> Outcome<Option<Self>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Server::start().map(|server| Self { server, runtime }))
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port
    }

    pub(crate) fn describe(&self) -> Outcome<String> {
        self.runtime.block_on(async {
            let mut connection = self.connect("postgres").await?;
            Ok(sqlx::query_scalar(SETTINGS).fetch_one(&mut connection).await?)
        })
    }

    /// Answers its URL.
    pub(crate) fn create_database(&self, name: &str) -> Outcome<String> {
        self.execute("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.server.url(name))
    }

    pub(crate) fn execute(&self, database: &str, statement: &str) -> Outcome<()> {
        self.runtime.block_on(async {
            let mut connection = self.connect(database).await?;
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
            Ok(())
        })
    }

    /// Does what the server would do by and by after much was written, so that it does not do it in some turns.
    pub(crate) fn settle(&self, database: &str) -> Outcome<()> {
        self.execute(database, "VACUUM (ANALYZE)")?;
        self.execute(database, "CHECKPOINT")
    }

    /// The server's processes that serve a database.
    pub(crate) fn backends(&self, database: &str) -> Outcome<Vec<u32>> {
        self.runtime.block_on(async {
            let mut connection = self.connect("postgres").await?;
            let pids: Vec<i32> = sqlx::query_scalar(BACKENDS).bind(database).fetch_all(&mut connection).await?;
            Ok(pids.into_iter().map(i32::unsigned_abs).collect())
        })
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.server.url(database)).await
    }
}
