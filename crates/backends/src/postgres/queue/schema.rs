//! Makes the queue's tables where there are none, and refuses those of a newer program.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use tokio::time::{Instant, sleep, timeout};

use super::sql;
use crate::OpenError;
use crate::postgres::address::Address;
use crate::postgres::connections::CONNECT_TIMEOUT;
use crate::postgres::error::{describe, is_transient};

/// What takes version `n` to version `n + 1` stands at place `n`. A version that was published stays as it is. Each
/// must work while processes of the version before still run: columns are added first and taken away a version later.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// What this program works with.
pub(super) const VERSION: usize = MIGRATIONS.len();

/// How long a server may be away at the start, as when both are started at the same moment.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
/// For all of it. Many processes may wait for the one that makes the tables.
const TIME_LIMIT: Duration = Duration::from_secs(60);

const SETTINGS: &str = "SET statement_timeout = '50s'; SET lock_timeout = '50s'; SET synchronous_commit = 'on'";
const FACTS: &str = "
SELECT current_setting('server_version_num')::int4 AS server_version, current_setting('server_encoding') AS encoding,
    current_setting('fsync') = 'on' AS syncs, pg_is_in_recovery() AS is_standby,
    to_regclass('keelson_queue.schema_version') IS NOT NULL AS has_tables,
    EXISTS (SELECT FROM pg_namespace WHERE nspname = 'keelson_queue') AS has_schema";
pub(super) const ITS_VERSION: &str = "SELECT version FROM keelson_queue.schema_version";

/// `MATERIALIZED` came with 12.
pub(super) const OLDEST_SERVER: i32 = 12_00_00;

/// Why it cannot be, for the person who starts the program.
enum Fault {
    Sql(sqlx::Error),
    Unfit { problem: String, remedy: &'static str },
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// Brings the tables to the version of this program. Safe to run by many at once and to be killed in the middle.
pub(super) async fn prepare(address: &Address) -> Result<(), OpenError> {
    let prepared = timeout(TIME_LIMIT, async {
        let mut connection = connect(address).await?;
        migrate(&mut connection).await?;
        // Whatever it says, the work is done.
        let _closed = connection.close().await;
        Ok(())
    });
    let fault = match prepared.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(fault)) => fault,
        Err(_) => Fault::Unfit { problem: "it does not answer".into(), remedy: "look at what the server does" },
    };
    let (problem, remedy) = match fault {
        Fault::Unfit { problem, remedy } => (problem, remedy),
        Fault::Sql(error) => (describe(&error), remedy_for(&error)),
    };
    Err(OpenError::Database { place: address.to_string(), problem, remedy })
}

async fn connect(address: &Address) -> Result<PgConnection, Fault> {
    let begun = Instant::now();
    loop {
        let attempt = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&address.options)).await;
        let error = match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
        };
        if begun.elapsed() > PATIENCE || !is_transient(&error) {
            return Err(error.into());
        }
        sleep(PAUSE).await;
    }
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

/// What is there, after a look at what it is in.
async fn look(connection: &mut PgConnection) -> Result<Found, Fault> {
    let facts = sqlx::query(FACTS).fetch_one(&mut *connection).await?;
    let server: i32 = facts.try_get("server_version")?;
    let encoding: String = facts.try_get("encoding")?;
    let unfit = |problem: String, remedy| Err(Fault::Unfit { problem, remedy });
    if server < OLDEST_SERVER {
        return unfit(format!("it is PostgreSQL {}", server / 10_000), "the queue needs version 12 or newer");
    }
    if encoding != "UTF8" {
        return unfit(format!("its encoding is {encoding}"), "give the queue a database with ENCODING 'UTF8'");
    }
    if facts.try_get("is_standby")? {
        return unfit("it is a standby, which cannot be written".into(), "name the primary server");
    }
    if !facts.try_get::<bool, _>("syncs")? {
        tracing::warn!("PostgreSQL runs with fsync=off: a power cut loses messages that were confirmed");
    }
    let has_schema = facts.try_get("has_schema")?;
    if !facts.try_get::<bool, _>("has_tables")? {
        return Ok(Found { version: 0, has_schema });
    }
    let version: i32 = sqlx::query_scalar(ITS_VERSION).fetch_one(connection).await?;
    match usize::try_from(version) {
        Ok(version) if version <= VERSION => Ok(Found { version, has_schema }),
        _ => unfit(
            format!("it has schema version {version}, this program knows up to {VERSION}"),
            "run the newer Keelson that wrote it",
        ),
    }
}

fn remedy_for(error: &sqlx::Error) -> &'static str {
    match error.as_database_error().and_then(|error| error.code()).as_deref() {
        Some("28P01" | "28000") => "check user and password, and what pg_hba.conf allows",
        Some("3D000") => "create the database, or name another one",
        Some("42501") => {
            "let an administrator run CREATE SCHEMA keelson_queue AUTHORIZATION and the user's name, or give the user \
             USAGE on the schema and its sequences, and SELECT, INSERT, UPDATE and DELETE on its tables"
        }
        Some("42P07" | "42P06") => "the schema keelson_queue holds something else: give the queue another database",
        Some("53300") => "raise max_connections, or stop something",
        _ => "the queue needs a PostgreSQL server that can be reached and takes writes",
    }
}
