//! A month of events, written straight into the file of analytics: many rows in each transaction, and no fsync.

use std::path::Path;

use anyhow::Result;
use rusqlite::{Connection, params};

pub(super) const EVENTS: u64 = 1_000_000;
/// Each has as many events as any other.
const USERS: u64 = 1000;
/// It shares no divisor with the number of users, nor that one with the number of types: each user has events of all.
const STRIDE: u64 = 7919;
/// All types that analytics knows.
const TYPES: [&str; 11] = [
    "user_action",
    "page_view",
    "api_call",
    "user_registration",
    "user_login",
    "user_deleted",
    "order_created",
    "order_updated",
    "order_status_changed",
    "order_deleted",
    "custom",
];

const DAY_MICROS: u64 = 86_400_000_000;
/// 2026-01-01, in microseconds since 1970.
const BEGIN: u64 = 1_767_225_600_000_000;
/// Between two events: thirty days in all.
const STEP: u64 = 30 * DAY_MICROS / EVENTS;

const ROWS_OF_TRANSACTION: u64 = 50_000;
/// Whoever loses the file makes another one, so nothing waits for the disk.
const SETTINGS: &str = "PRAGMA synchronous = OFF; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY";
const INSERT: &str = "INSERT INTO events (id, event_type, event_name, user_id, properties, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const MOVE_LOG: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// What statistics are asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) what: &'static str,
    pub(super) query: String,
    /// How many there are.
    pub(super) events: u64,
}

impl Asked {
    /// Statistics of all events.
    pub(super) fn all() -> Self {
        Self { what: "no filter", query: String::new(), events: EVENTS }
    }

    /// Those of one user.
    pub(super) fn of_user(user: u64) -> Self {
        Self { what: "a user", query: format!("?user_id={}", user_id(user)), events: EVENTS / USERS }
    }

    /// Those of one type in the second ten days.
    pub(super) fn of_type_and_days() -> Self {
        let days = BEGIN + 10 * DAY_MICROS..BEGIN + 20 * DAY_MICROS;
        let applies = |number: &u64| event_type(*number) == TYPES[1] && days.contains(&created_at(*number));
        let query = format!("?event_type={}&from=2026-01-11&to=2026-01-21", TYPES[1]);
        let events = (0..EVENTS).filter(applies).count() as u64;
        Self { what: "a type and ten days", query, events }
    }
}

/// Adds the first events to a file that has the tables.
pub(super) fn fill(file: &Path, events: u64) -> Result<()> {
    let mut connection = Connection::open(file)?;
    connection.execute_batch(SETTINGS)?;
    let mut number = 0;
    while number < events {
        let transaction = connection.transaction()?;
        let end = events.min(number + ROWS_OF_TRANSACTION);
        for number in number..end {
            insert(&transaction, number)?;
        }
        transaction.commit()?;
        number = end;
    }
    connection.query_row(MOVE_LOG, [], |_| Ok(()))?;
    Ok(())
}

fn insert(connection: &Connection, number: u64) -> Result<()> {
    let mut insert = connection.prepare_cached(INSERT)?;
    let user = user_id(number * STRIDE % USERS);
    let created_at = i64::try_from(created_at(number))?;
    insert.execute(params![id(number), event_type(number), "Start page", user, r#"{"path":"/"}"#, created_at])?;
    Ok(())
}

/// A UUIDv7 of the time of the event.
fn id(number: u64) -> [u8; 16] {
    let millis = u128::from(created_at(number) / 1000);
    ((millis << 80) | (0x7 << 76) | (0b10 << 62) | u128::from(number)).to_be_bytes()
}

fn event_type(number: u64) -> &'static str {
    TYPES[number as usize % TYPES.len()]
}

fn user_id(user: u64) -> String {
    format!("01975408-5f35-7000-8000-{user:012}")
}

fn created_at(number: u64) -> u64 {
    BEGIN + number * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../../crates/backends/migrations/analytics/sqlite/0001_create_events.sql");

    #[test]
    fn events_fit_the_products_table_and_are_spread_over_users_and_types() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.db");
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch(TABLE).unwrap();
        // More than a transaction has, and not a multiple of it.
        let events = 55_000;
        fill(&file, events).unwrap();
        let count = |sql: &str| -> u64 { connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64 };
        assert_eq!(count("SELECT count(*) FROM events"), events);
        assert_eq!(count("SELECT count(DISTINCT user_id) FROM events"), USERS);
        let of_user = "SELECT count(*) FROM events GROUP BY user_id ORDER BY 1";
        assert_eq!([count(of_user), count(&format!("{of_user} DESC"))], [events / USERS; 2]);
        let pairs = "SELECT count(*) FROM (SELECT DISTINCT user_id, event_type FROM events)";
        assert_eq!(count(pairs), USERS * TYPES.len() as u64);
    }

    #[test]
    fn events_come_within_thirty_days() {
        assert_eq!(created_at(EVENTS), BEGIN + 30 * DAY_MICROS);
        let asked = Asked::of_type_and_days();
        assert!((EVENTS / 3 / 11).abs_diff(asked.events) <= 1, "{asked:?}");
    }
}
