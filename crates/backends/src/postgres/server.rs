//! A server of PostgreSQL at the start of a program: reached with some patience, and looked at before it is used.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use tokio::time::{Instant, sleep, timeout};

use super::address::Address;
use super::connections::CONNECT_TIMEOUT;
pub(crate) use super::error::code;
use super::error::{describe, is_transient};
use crate::OpenError;

/// `MATERIALIZED` came with 12.
pub(crate) const OLDEST_SERVER: i32 = 12_00_00;

/// How long a server may be away at the start, as when both are started at the same moment.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

const FACTS: &str = "
SELECT current_setting('server_version_num')::int4 AS server_version, current_setting('server_encoding') AS encoding,
    current_setting('fsync') = 'on' AS syncs, pg_is_in_recovery() AS is_standby";

/// Why it cannot be, for the person who starts the program.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(sqlx::Error),
    Unfit { problem: String, remedy: String },
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    pub(crate) fn unfit(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Unfit { problem: problem.into(), remedy: remedy.into() }
    }

    pub(crate) fn silent() -> Self {
        Self::unfit("it does not answer", "look at what the server does")
    }

    /// In words, for what was to be opened. `remedy` knows errors that mean more to it than to everybody.
    pub(crate) fn explain(
        self,
        kind: &'static str,
        address: &Address,
        remedy: impl FnOnce(&sqlx::Error) -> Option<String>,
    ) -> OpenError {
        let (problem, remedy) = match self {
            Self::Unfit { problem, remedy } => (problem, remedy),
            Self::Sql(error) => (describe(&error), remedy(&error).unwrap_or_else(|| remedy_for(kind, &error))),
        };
        OpenError::Database { kind, place: address.to_string(), problem, remedy }
    }
}

/// Connects, to a server too that is about to start.
pub(crate) async fn connect(address: &Address) -> Result<PgConnection, Fault> {
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

/// Refuses a server that cannot hold what we write.
pub(crate) async fn check(connection: &mut PgConnection, kind: &str) -> Result<(), Fault> {
    let facts = sqlx::query(FACTS).persistent(false).fetch_one(connection).await?;
    let server: i32 = facts.try_get("server_version")?;
    let encoding: String = facts.try_get("encoding")?;
    if server < OLDEST_SERVER {
        let oldest = OLDEST_SERVER / 10_000;
        let problem = format!("it is PostgreSQL {}", server / 10_000);
        return Err(Fault::unfit(problem, format!("the {kind} needs version {oldest} or newer")));
    }
    if encoding != "UTF8" {
        let remedy = format!("give the {kind} a database with ENCODING 'UTF8'");
        return Err(Fault::unfit(format!("its encoding is {encoding}"), remedy));
    }
    if facts.try_get("is_standby")? {
        return Err(Fault::unfit("it is a standby, which cannot be written", "name the primary server"));
    }
    if !facts.try_get::<bool, _>("syncs")? {
        tracing::warn!("PostgreSQL runs with fsync=off: a power cut loses what was confirmed");
    }
    Ok(())
}

fn remedy_for(kind: &str, error: &sqlx::Error) -> String {
    match code(error).as_deref() {
        Some("28P01" | "28000") => "check user and password, and what pg_hba.conf allows".into(),
        Some("3D000") => "create the database, or name another one".into(),
        Some("53300") => "raise max_connections, or stop something".into(),
        _ => format!("the {kind} needs a PostgreSQL server that can be reached and takes writes"),
    }
}
