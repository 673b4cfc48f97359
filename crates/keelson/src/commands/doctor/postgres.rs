//! The queue in a database of PostgreSQL.

mod server;
mod trouble;

use std::time::Duration;

use backends::postgres::Address;
use backends::postgres::inspect::{DatabaseFacts, Process, Right, SCHEMA_VERSION, SchemaFacts, Trouble, inspect};
use chassis::clock::SystemClock;
use chassis::ports::QueueStats;
use jiff::SignedDuration;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout, timeout_at};

use super::queue::{DEAD_LETTERS, QUEUE, dead_letters_wait};
use super::report::Check;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::wire;

const SCHEMA: &str = "schema";
const RIGHTS: &str = "rights";

/// How long the password may take that is elsewhere.
const PASSWORD_TIMEOUT: Duration = Duration::from_secs(10);
/// For all of it: the password, the connection and every question.
const LOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// What was found.
#[derive(Debug)]
pub(super) enum Seen {
    /// Nobody was asked: the settings do not lead to a database.
    NoAddress(Check),
    /// What the database said.
    Asked(Box<Address>, Result<Box<DatabaseFacts>, Trouble>),
}

impl Seen {
    pub(super) fn facts(&self) -> Option<&DatabaseFacts> {
        if let Self::Asked(_, Ok(facts)) = self { Some(facts) } else { None }
    }
}

/// Whether a URL of PostgreSQL is one, as far as that shows before its password is there.
pub(super) fn check_url(rest: &str, settings: &Settings) -> Result<(), Failure> {
    if settings.queue.place.is_none() {
        Address::parse(rest)?;
    }
    Ok(())
}

/// Asks the database, with a password that may have to be fetched first.
pub(super) async fn look(settings: &Settings) -> Seen {
    let fix = "mend what POSTGRES_PASSWORD or POSTGRES_HOST names; the services do not start without it";
    let deadline = Instant::now() + LOOK_TIMEOUT;
    let url = match timeout(PASSWORD_TIMEOUT, wire::queue_url(settings)).await {
        Ok(Ok(url)) => url,
        Ok(Err(failure)) => return Seen::NoAddress(Check::failed(QUEUE, failure.to_string(), fix)),
        Err(_) => {
            let text = format!("the source of POSTGRES_PASSWORD does not answer within {PASSWORD_TIMEOUT:?}");
            return Seen::NoAddress(Check::failed(QUEUE, text, fix));
        }
    };
    let rest = url.expose_secret().split_once(':').map_or("", |(_, rest)| rest);
    match Address::parse(rest) {
        Ok(address) => {
            let facts = timeout_at(deadline, inspect(&address, &SystemClock::shared())).await;
            Seen::Asked(Box::new(address), facts.unwrap_or(Err(Trouble::TimedOut)).map(Box::new))
        }
        Err(error) => Seen::NoAddress(Check::failed(QUEUE, error.to_string(), fix)),
    }
}

/// Judges a database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    /// Whose rights are needed.
    pub(super) processes: &'a [Process],
    /// `POSTGRES_HOST` and its like say where it is, and not `QUEUE_URL`.
    pub(super) in_parts: bool,
}

impl Judge<'_> {
    pub(super) fn checks(&self, seen: &Seen) -> Vec<Check> {
        let (address, facts) = match seen {
            Seen::NoAddress(check) => return unseen(check.clone()),
            Seen::Asked(address, Err(trouble)) => return unseen(self.trouble(address, trouble)),
            Seen::Asked(address, Ok(facts)) => (address, facts),
        };
        let DatabaseFacts { server, connections, schema, queue, took } = &**facts;
        let found = format!("{address} answers in {took:.0?}, PostgreSQL {}", server.version);
        vec![
            server::fitness(server).unwrap_or_else(|| Check::ok(QUEUE, found + &waiting(queue.as_ref()))),
            tables(schema, &server.user),
            self.rights(schema, &server.user),
            dead_letters(queue.as_ref()),
            server::connections(connections, server),
            server::durability(server),
            server::clock(server.clock_skew_seconds),
        ]
    }

    fn rights(&self, schema: &SchemaFacts, user: &str) -> Check {
        if !schema.has_tables {
            return Check::not_checked(RIGHTS, "not checked: there are no tables yet, and who makes them owns them");
        }
        if !schema.absent.is_empty() {
            return Check::not_checked(RIGHTS, "not checked: see schema");
        }
        let missing = schema.rights.missing(self.processes);
        if !missing.is_empty() {
            return grants(Check::failed(RIGHTS, lacks(user, &missing), OWNER_GRANTS), &missing, user);
        }
        let of_operators = schema.rights.missing(&[Process::Operator]);
        if !of_operators.is_empty() {
            let text = format!("{}; `keelson dlq` needs it, and no service does", lacks(user, &of_operators));
            return grants(Check::warning(RIGHTS, text, OWNER_GRANTS), &of_operators, user);
        }
        Check::ok(RIGHTS, format!("{user} may do all that is needed"))
    }
}

const OWNER_GRANTS: &str = "as the owner of the tables, or an administrator, in that database:";

fn grants(check: Check, missing: &[Right], user: &str) -> Check {
    missing.iter().fold(check, |check, right| check.and(right.grant(user)))
}

fn lacks(user: &str, missing: &[Right]) -> String {
    let named = |right: &Right| format!("{} on {}", right.privileges.join(", "), right.object);
    format!("{user} lacks {}", missing.iter().map(named).collect::<Vec<_>>().join("; "))
}

/// What nobody can tell, with the reason first.
fn unseen(reason: Check) -> Vec<Check> {
    let names = [SCHEMA, RIGHTS, DEAD_LETTERS, server::CONNECTIONS, server::DURABILITY, server::CLOCK];
    let others = names.map(|name| Check::not_checked(name, "not checked: the database does not tell"));
    [vec![reason], others.to_vec()].concat()
}

/// What is in the queue, where that could be seen.
fn waiting(queue: Option<&QueueStats>) -> String {
    let Some(queue) = queue else { return String::new() };
    let wait = if queue.visible == 1 { "1 message waits".into() } else { format!("{} messages wait", queue.visible) };
    let oldest = queue.oldest_age_seconds.map_or_else(String::new, |seconds| {
        let age = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        format!(", the oldest was sent {age:#} ago")
    });
    format!("; {wait}, {} in work, {} for later{oldest}", queue.in_flight, queue.delayed)
}

fn dead_letters(queue: Option<&QueueStats>) -> Check {
    match queue.and_then(|queue| queue.dead) {
        None => Check::not_checked(DEAD_LETTERS, "not checked: see schema and rights"),
        Some(0) => Check::ok(DEAD_LETTERS, "none"),
        Some(dead) => dead_letters_wait(format!("{dead} there")),
    }
}

fn tables(schema: &SchemaFacts, user: &str) -> Check {
    let expected = SCHEMA_VERSION;
    if !schema.has_tables {
        let text = "there are no tables yet";
        let fix = if schema.exists {
            format!("as its owner or an administrator, in that database: ALTER SCHEMA keelson_queue OWNER TO {user}")
        } else {
            format!("as an administrator, in that database: CREATE SCHEMA keelson_queue AUTHORIZATION {user}")
        };
        return match schema.may_make {
            true => Check::not_checked(SCHEMA, format!("{text}; the first start makes them (version {expected})")),
            false => Check::failed(SCHEMA, format!("{text}, and {user} may not make them"), fix),
        };
    }
    if !schema.absent.is_empty() {
        let text = format!("the schema keelson_queue has no {}", schema.absent.join(", no "));
        let fix = "restore it from a backup of the database, or give the queue another database";
        return Check::failed(SCHEMA, text, fix);
    }
    let ours = i64::try_from(expected).unwrap_or(i64::MAX);
    match schema.version {
        None => Check::not_checked(SCHEMA, "not checked: see rights"),
        Some(found) if found == ours => Check::ok(SCHEMA, format!("version {found}, as this program has it")),
        Some(found) if found > ours => Check::failed(
            SCHEMA,
            format!("version {found}, and this program knows up to {expected}"),
            "run the newer Keelson that wrote it",
        ),
        Some(found) if schema.may_make => {
            Check::not_checked(SCHEMA, format!("version {found}; the next start makes version {expected} of it"))
        }
        Some(found) => Check::failed(
            SCHEMA,
            format!("version {found}, and {user} may not make version {expected} of it"),
            "start this Keelson once as the owner of the tables",
        ),
    }
}
