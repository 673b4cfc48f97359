//! Makes the queue's tables where there are none, and refuses those of a newer program.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use tokio::time::timeout;

use super::sql;
use crate::OpenError;
use crate::postgres::address::Address;
use crate::postgres::server::{self, Fault, code};

pub(super) const KIND: &str = "queue";

/// What takes version `n` to version `n + 1` stands at place `n`. A version that was published stays as it is. Each
/// must work while processes of the version before still run: columns are added first and taken away a version later.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// What this program works with.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// For all of it. Many processes may wait for the one that makes the tables.
const TIME_LIMIT: Duration = Duration::from_secs(60);

const SETTINGS: &str = "SET statement_timeout = '50s'; SET lock_timeout = '50s'; SET synchronous_commit = 'on'";
const WHAT_IS_THERE: &str = "
SELECT to_regclass('keelson_queue.schema_version') IS NOT NULL AS has_tables,
    EXISTS (SELECT FROM pg_namespace WHERE nspname = 'keelson_queue') AS has_schema";
pub(super) const ITS_VERSION: &str = "SELECT version FROM keelson_queue.schema_version";

/// Brings the tables to the version of this program. Safe to run by many at once and to be killed in the middle.
pub(super) async fn prepare(address: &Address) -> Result<(), OpenError> {
    let prepared = timeout(TIME_LIMIT, async {
        let mut connection = server::connect(address).await?;
        server::check(&mut connection, KIND).await?;
        migrate(&mut connection).await?;
        // Whatever it says, the work is done.
        let _closed = connection.close().await;
        Ok(())
    });
    let outcome = prepared.await.unwrap_or_else(|_| Err(Fault::silent()));
    outcome.map_err(|fault| fault.explain(KIND, address, remedy_for))
}

async fn migrate(connection: &mut PgConnection) -> Result<(), Fault> {
    sqlx::raw_sql(SETTINGS).execute(&mut *connection).await?;
    if look(connection).await?.version == VERSION {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    // Whoever comes second finds it done.
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, $2)").bind(sql::LOCK_SPACE).bind(sql::SCHEMA_LOCK);
    lock.execute(&mut *transaction).await?;
    let found = look(&mut transaction).await?;
    if !found.has_schema {
        sqlx::raw_sql("CREATE SCHEMA keelson_queue").execute(&mut *transaction).await?;
    }
    for (place, &migration) in MIGRATIONS.iter().enumerate().skip(found.version) {
        sqlx::raw_sql(migration).execute(&mut *transaction).await?;
        tracing::info!(queue.schema_version = place + 1, "the queue's tables in PostgreSQL are made");
    }
    Ok(transaction.commit().await?)
}

struct Found {
    /// Zero where there are no tables.
    version: usize,
    has_schema: bool,
}

async fn look(connection: &mut PgConnection) -> Result<Found, Fault> {
    let facts = sqlx::query(WHAT_IS_THERE).fetch_one(&mut *connection).await?;
    let has_schema = facts.try_get("has_schema")?;
    if !facts.try_get::<bool, _>("has_tables")? {
        return Ok(Found { version: 0, has_schema });
    }
    let version: i32 = sqlx::query_scalar(ITS_VERSION).fetch_one(connection).await?;
    match usize::try_from(version) {
        Ok(version) if version <= VERSION => Ok(Found { version, has_schema }),
        _ => Err(Fault::unfit(
            format!("it has schema version {version}, this program knows up to {VERSION}"),
            "run the newer Keelson that wrote it",
        )),
    }
}

fn remedy_for(error: &sqlx::Error) -> Option<String> {
    let remedy = match code(error).as_deref()? {
        "42501" => {
            "let an administrator run CREATE SCHEMA keelson_queue AUTHORIZATION and the user's name, or give the user \
             USAGE on the schema and its sequences, and SELECT, INSERT, UPDATE and DELETE on its tables"
        }
        "42P07" | "42P06" => "the schema keelson_queue holds something else: give the queue another database",
        _ => return None,
    };
    Some(remedy.into())
}
