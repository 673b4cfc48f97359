//! What a server of PostgreSQL is and has for the queue, for whoever checks it: facts about the server, the tables, the
//! rights of the user and the messages.
//!
//! Everything here reads, in a transaction that the server itself keeps from writing, and leaves nothing behind: no
//! setting and no prepared statement, on a connection that a pooler may share. What the facts mean is the caller's.

mod rights;
mod sql;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use chassis::clock::Clock;
use chassis::ports::QueueStats;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, Postgres, Row as _};
use tokio::net::lookup_host;
use tokio::time::timeout;

use self::rights::Found;
use super::{admin, admin_sql, schema};
use crate::postgres::Address;
use crate::postgres::connections::CONNECTIONS;
use crate::postgres::server::OLDEST_SERVER;

pub use rights::{Process, Right, Rights};
pub use trouble::Trouble;

/// The oldest version that the queue works on, as people write it.
pub const OLDEST_VERSION: u32 = OLDEST_SERVER.unsigned_abs() / 10_000;
/// Of the tables, as this program makes them.
pub const SCHEMA_VERSION: usize = schema::VERSION;
/// The most that one process has open: those that it works with and the one that listens.
pub const CONNECTIONS_OF_A_PROCESS: u64 = CONNECTIONS as u64 + 1;

/// The most that a call of the queue takes.
pub use crate::gather::CALL_TIMEOUT;

/// How long the name of the server may take to be found.
const NAME_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection may take, signing on included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// For all questions together. Each has [`sql::READ_ONLY`]'s time.
const QUESTIONS_TIMEOUT: Duration = Duration::from_secs(8);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One database as it is.
#[derive(Debug, Clone)]
pub struct DatabaseFacts {
    /// The server, and its settings for this user in this database.
    pub server: ServerFacts,
    /// The connections that it lets open.
    pub connections: ConnectionFacts,
    /// The tables of the queue, with the rights of the user on them.
    pub schema: SchemaFacts,
    /// What is in the queue, where the user may see it and the tables are those of this program.
    pub queue: Option<QueueStats>,
    /// How long one question took, there and back.
    pub took: Duration,
}

/// A server, and its settings for one user in one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Such as 17.
    pub major_version: u32,
    /// As the server writes it, such as `17.2 (Debian 17.2-1)`.
    pub version: String,
    /// Of the database.
    pub encoding: String,
    /// It follows another server, and cannot be written.
    pub is_standby: bool,
    /// Transactions cannot write unless they ask for it.
    pub reads_only: bool,
    /// `fsync`.
    pub syncs: bool,
    /// `full_page_writes`.
    pub writes_whole_pages: bool,
    /// `synchronous_commit`.
    pub synchronous_commit: String,
    /// Who signed on, as an identifier of SQL.
    pub user: String,
    /// The database, as an identifier of SQL.
    pub database: String,
    /// How far the server's clock is ahead of ours in seconds; negative when it is behind.
    pub clock_skew_seconds: i64,
}

/// The connections of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// `max_connections`.
    pub most: u64,
    /// Those of everybody, ours not counted.
    pub used: u64,
    /// Those that this user may open beside.
    pub free: u64,
    /// What makes them no more.
    pub bound: Bound,
}

/// Whose limit of connections is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// `max_connections`, less what is kept for administrators.
    Server,
    /// `ALTER DATABASE … CONNECTION LIMIT`.
    Database,
    /// `ALTER ROLE … CONNECTION LIMIT`.
    User,
}

/// The tables of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFacts {
    /// The schema is there, whatever is in it.
    pub exists: bool,
    /// Their version; `None` where there are none, or the user may not see it.
    pub version: Option<i64>,
    /// Tables that are there, ours or not.
    pub has_tables: bool,
    /// Whether the user may make what is missing: as the owner, or as one who may make schemas.
    pub may_make: bool,
    /// Tables and sequences of this version that are not there.
    pub absent: Vec<&'static str>,
    /// What the user may do with them.
    pub rights: Rights,
}

/// Asks one server. Every part is bounded in time; all of it takes 15 seconds at most.
///
/// # Errors
/// When the server does not say.
pub async fn inspect(address: &Address, clock: &Arc<dyn Clock>) -> Result<DatabaseFacts, Trouble> {
    find_name(address).await?;
    let connecting = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&address.options));
    let mut connection = connecting.await.map_err(|_| Trouble::TimedOut)?.map_err(|error| trouble::of(&error))?;
    let asked = timeout(QUESTIONS_TIMEOUT, ask(&mut connection, clock)).await;
    let facts = asked.map_err(|_| Trouble::TimedOut)?.map_err(|error| trouble::of_question(&error))?;
    // Whatever it says, all is known.
    let _closed = timeout(CLOSE_TIMEOUT, connection.close()).await;
    Ok(facts)
}

/// By itself first: the driver does not tell a name that nobody knows from a server that is away.
async fn find_name(address: &Address) -> Result<(), Trouble> {
    if address.socket().is_some() {
        return Ok(());
    }
    let look = timeout(NAME_TIMEOUT, lookup_host((address.host(), address.port())));
    let mut found = look.await.map_err(|_| Trouble::TimedOut)?.map_err(|_| Trouble::UnknownHost)?;
    found.next().map(drop).ok_or(Trouble::UnknownHost)
}

async fn ask(connection: &mut PgConnection, clock: &Arc<dyn Clock>) -> Result<DatabaseFacts, sqlx::Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    // Before anything is set, since it asks for settings too.
    let (begun, sent_at) = (clock.monotonic(), clock.now());
    let row = question(sql::SERVER).fetch_one(&mut *connection).await?;
    let took = clock.monotonic().saturating_sub(begun);
    let server = read_server(&row, sent_at.as_microsecond().saturating_add(super::micros(took / 2)))?;
    sqlx::raw_sql(sql::READ_ONLY).execute(&mut *connection).await?;
    let connections = read_connections(&question(sql::CONNECTIONS).fetch_one(&mut *connection).await?)?;
    let schema = schema_facts(connection).await?;
    let is_ours = schema.version == i64::try_from(SCHEMA_VERSION).ok() && schema.absent.is_empty();
    let may_count = ["deliveries", "dead_letters"].iter().all(|table| schema.rights.has(table, "SELECT"));
    let queue = match is_ours && may_count && server.major_version >= OLDEST_VERSION {
        true => Some(count(connection).await?),
        false => None,
    };
    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    Ok(DatabaseFacts { server, connections, schema, queue, took })
}

/// Prepared for this once, without a name: one that stays on a shared connection is in the way of the next.
fn question(statement: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(statement).persistent(false)
}

async fn schema_facts(connection: &mut PgConnection) -> Result<SchemaFacts, sqlx::Error> {
    let row = question(sql::SCHEMA).fetch_one(&mut *connection).await?;
    let (has_schema, may_make_schema): (bool, bool) = (row.try_get("has_schema")?, row.try_get("may_make_schema")?);
    let (may_use, may_make_in): (bool, bool) = (row.try_get("may_use")?, row.try_get("may_make_in")?);
    let rows = question(sql::OBJECTS).fetch_all(&mut *connection).await?;
    let found = rows.iter().map(Found::read).collect::<Result<Vec<_>, _>>()?;
    let rights = Rights::of(may_use, &found);
    let has_tables = found.iter().any(|it| it.name == rights::VERSION_TABLE);
    let version = match may_use && rights.has(rights::VERSION_TABLE, "SELECT") {
        true => {
            let row = question(schema::ITS_VERSION).fetch_optional(connection).await?;
            row.map(|row| row.try_get::<i32, _>(0)).transpose()?
        }
        false => None,
    };
    // A later version changes tables, which their owner alone may.
    let may_make = match has_tables {
        true => found.iter().all(|it| it.is_own),
        false if has_schema => may_use && may_make_in,
        false => may_make_schema,
    };
    let absent = if has_tables { rights::absent(&found) } else { Vec::new() };
    Ok(SchemaFacts { exists: has_schema, version: version.map(i64::from), has_tables, may_make, absent, rights })
}

/// What cannot be counted in time is estimated, as the queue itself does.
async fn count(connection: &mut PgConnection) -> Result<QueueStats, sqlx::Error> {
    sqlx::raw_sql("SAVEPOINT counting").execute(&mut *connection).await?;
    let row = match question(admin_sql::STATS).fetch_one(&mut *connection).await {
        Err(error) if trouble::is_too_slow(&error) => {
            // A transaction in which a question failed takes no other.
            sqlx::raw_sql("ROLLBACK TO SAVEPOINT counting").execute(&mut *connection).await?;
            question(admin_sql::ESTIMATE).fetch_one(&mut *connection).await?
        }
        counted => counted?,
    };
    admin::read_stats(&row)
}

/// `our_time` is that of the middle between question and answer, in microseconds since 1970.
fn read_server(row: &PgRow, our_time: i64) -> Result<ServerFacts, sqlx::Error> {
    let version: i32 = row.try_get("version_number")?;
    let ahead = row.try_get::<i64, _>("now")?.saturating_sub(our_time);
    Ok(ServerFacts {
        major_version: version.unsigned_abs() / 10_000,
        version: row.try_get("version")?,
        encoding: row.try_get("encoding")?,
        is_standby: row.try_get("is_standby")?,
        reads_only: row.try_get("reads_only")?,
        syncs: row.try_get("syncs")?,
        writes_whole_pages: row.try_get("writes_whole_pages")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        user: row.try_get("user_name")?,
        database: row.try_get("database_name")?,
        clock_skew_seconds: ahead / 1_000_000,
    })
}

fn read_connections(row: &PgRow) -> Result<ConnectionFacts, sqlx::Error> {
    let number = |column| row.try_get::<i64, _>(column);
    let free = |most: i64, used: i64| most.saturating_sub(used).max(0).unsigned_abs();
    let (most, used) = (number("most")?, number("used")?);
    let mut bounds = vec![(free(most - number("reserved")?, used), Bound::Server)];
    // Below zero is no limit.
    for (limit, used, bound) in
        [("of_database", "used_in_database", Bound::Database), ("of_user", "used_by_user", Bound::User)]
    {
        let limit = number(limit)?;
        if limit >= 0 {
            bounds.push((free(limit, number(used)?), bound));
        }
    }
    let (free, bound) = bounds.into_iter().min().unwrap_or((0, Bound::Server));
    Ok(ConnectionFacts { most: most.unsigned_abs(), used: used.unsigned_abs(), free, bound })
}
