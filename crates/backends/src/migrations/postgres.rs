//! Makes migrations in a schema of PostgreSQL.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::time::{Instant, sleep, timeout};

use super::history::{CHANGED_REMEDY, Changed, History, Recorded};
use super::{Migration, MigrationState, Migrations};
use crate::OpenError;
use crate::postgres::server::{self, Fault};
use crate::postgres::{Address, LOCK_SPACE};

/// How long a start waits for the process that makes them.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// For all of it.
const TIME_LIMIT: Duration = Duration::from_secs(60);

const SETTINGS: &str = "SET statement_timeout = '50s'; SET lock_timeout = '10s'; SET synchronous_commit = 'on'";

/// What a try to make the next one came to.
enum Step {
    Made(&'static Migration),
    /// Another process is at it.
    Busy,
    /// There is none.
    Done,
}

/// Brings the tables up to date; answers what was made for that.
pub(crate) async fn apply(
    migrations: &'static Migrations,
    address: &Address,
    now: Timestamp,
) -> Result<Vec<MigrationState>, OpenError> {
    connected(migrations, address, async |connection| bring(migrations, connection, now).await).await
}

/// What was made in the database.
pub(super) async fn look(migrations: &'static Migrations, address: &Address) -> Result<History, OpenError> {
    connected(migrations, address, async |connection| read(migrations, connection).await).await
}

async fn connected<T>(
    migrations: &'static Migrations,
    address: &Address,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Fault>,
) -> Result<T, OpenError> {
    let working = timeout(TIME_LIMIT, async {
        let mut connection = server::connect(address).await?;
        server::check(&mut connection, migrations.kind).await?;
        let outcome = work(&mut connection).await?;
        // Whatever it says, the work is done.
        let _closed = connection.close().await;
        Ok(outcome)
    });
    let outcome = working.await.unwrap_or_else(|_| Err(Fault::silent()));
    outcome.map_err(|fault| fault.explain(migrations.kind, address, |error| remedy_for(migrations, error)))
}

async fn bring(
    migrations: &'static Migrations,
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<MigrationState>, Fault> {
    let history = read(migrations, connection).await?;
    if let Some(newer) = history.newer(migrations.postgres) {
        let (service, version) = (migrations.service, newer.version);
        tracing::info!(service, version, "the tables are those of a newer version, which this one works with");
    }
    let mut applied = Vec::new();
    if history.pending.is_empty() {
        return Ok(applied);
    }
    sqlx::raw_sql(SETTINGS).execute(&mut *connection).await?;
    let mut busy_since = None;
    loop {
        match step(migrations, connection, now).await? {
            Step::Done => return Ok(applied),
            Step::Made(migration) => {
                let (service, version) = (migrations.service, migration.version);
                tracing::info!(service, version, "migration {} is made", migration.file());
                applied.push(migrations.made(migration, now));
            }
            Step::Busy => {
                let since = *busy_since.get_or_insert_with(|| {
                    tracing::info!(service = migrations.service, "another process makes migrations; waiting for it");
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(still_busy());
                }
                sleep(PAUSE).await;
            }
        }
    }
}

fn still_busy() -> Fault {
    Fault::Unfit {
        problem: format!("another process has been making migrations for {} seconds", PATIENCE.as_secs()),
        remedy: "wait for it, or see in pg_locks who has the advisory lock and end it".into(),
    }
}

/// One transaction with the next one. The lock ends with it.
async fn step(migrations: &'static Migrations, connection: &mut PgConnection, now: Timestamp) -> Result<Step, Fault> {
    let mut transaction = connection.begin().await?;
    let lock = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1, $2)").bind(LOCK_SPACE).bind(migrations.lock);
    if !lock.fetch_one(&mut *transaction).await? {
        transaction.rollback().await?;
        return Ok(Step::Busy);
    }
    prepare(migrations, &mut transaction).await?;
    let Some(&next) = find(migrations, &mut transaction).await?.pending.first() else { return Ok(Step::Done) };
    sqlx::raw_sql(next.sql).execute(&mut *transaction).await?;
    let table = migrations.history;
    let record = format!("INSERT INTO {table} (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)");
    let record = sqlx::query(AssertSqlSafe(record)).bind(next.version).bind(next.name);
    record.bind(next.checksum()).bind(now.as_microsecond()).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Step::Made(next))
}

/// The schema and the table of what was made. Who may not make a schema may use one that is there.
async fn prepare(migrations: &Migrations, transaction: &mut PgConnection) -> Result<(), Fault> {
    let Migrations { schema, history, .. } = migrations;
    let has_schema = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)").bind(*schema);
    if !has_schema.fetch_one(&mut *transaction).await? {
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut *transaction).await?;
    }
    let statements = format!(
        "SET LOCAL search_path = {schema}, pg_catalog;
         CREATE TABLE IF NOT EXISTS {history} (version int8 PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
         applied_at int8 NOT NULL)"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(transaction).await?;
    Ok(())
}

/// What was made, without a lock; nothing where the table is not there yet.
async fn read(migrations: &'static Migrations, connection: &mut PgConnection) -> Result<History, Fault> {
    match find(migrations, connection).await {
        Err(Fault::Sql(error)) if is_missing(&error) => Ok(History::of(migrations.postgres, Vec::new())?),
        outcome => outcome,
    }
}

async fn find(migrations: &'static Migrations, connection: &mut PgConnection) -> Result<History, Fault> {
    let Migrations { schema, history, .. } = migrations;
    let text = format!("SELECT version, name, checksum, applied_at FROM {schema}.{history} ORDER BY version");
    let rows = sqlx::query(AssertSqlSafe(text)).persistent(false).fetch_all(connection).await?;
    let recorded = rows.iter().map(read_row).collect::<Result<_, _>>()?;
    Ok(History::of(migrations.postgres, recorded)?)
}

fn read_row(row: &PgRow) -> Result<Recorded, sqlx::Error> {
    let applied_at = Timestamp::from_microsecond(row.try_get(3)?).unwrap_or_default();
    Ok(Recorded { version: row.try_get(0)?, name: row.try_get(1)?, checksum: row.try_get(2)?, applied_at })
}

/// Neither table nor schema.
fn is_missing(error: &sqlx::Error) -> bool {
    matches!(server::code(error).as_deref(), Some("42P01" | "3F000"))
}

fn remedy_for(migrations: &Migrations, error: &sqlx::Error) -> Option<String> {
    let Migrations { kind, schema, .. } = migrations;
    match server::code(error).as_deref()? {
        "42501" => Some(format!(
            "the user may not make or read its tables: let an administrator run CREATE SCHEMA {schema} AUTHORIZATION and \
             the user's name; or make the migrations as a user who may, and give this one USAGE on the schema and SELECT, \
             INSERT, UPDATE and DELETE on its tables"
        )),
        "42P07" | "42P06" => {
            Some(format!("the schema {schema} holds something else: give the {kind} another database"))
        }
        _ => None,
    }
}

impl From<Changed> for Fault {
    fn from(changed: Changed) -> Self {
        Self::Unfit { problem: changed.problem, remedy: CHANGED_REMEDY.into() }
    }
}
