//! The store in a file, beside a loop that commits each row.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::load::{Load, SECONDS};
use super::table::Table;
use super::{Outcome, Plan, compare};

/// Callers at once, and how many times as fast as a commit for each row they are to be.
const CALLERS: [(usize, Option<f64>); 4] = [(1, None), (16, None), (64, Some(5.0)), (256, Some(5.0))];

const INSERT: &str =
    "INSERT INTO users (id, name, username_key, email, email_key, age, is_active, password_hash, version,
    created_at, updated_at) VALUES (?1, ?2, NULL, ?3, ?3, 30, 1, NULL, 1, 0, 0)";

pub(crate) fn measure(plan: Plan, table: &mut Table) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    drop(Load::open(&url("rows.db"))?);
    let rows = Connection::open(folder.path().join("rows.db"))?;
    rows.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000")?;
    let load = Load::open(&url("users.db"))?;
    let mut next = 0;
    for (callers, goal) in CALLERS.into_iter().filter(|(callers, _)| plan.has(*callers)) {
        let what = format!("create, callers: {callers}, by a commit for each row");
        compare((&what, goal), plan, table, || load.create(callers), || commit_each(&rows, &mut next))?;
    }
    for callers in [1, 64] {
        let found = load.find(callers, 1000)?;
        table.info(&format!("find, callers: {callers}"), format!("{found:.0}/s"));
    }
    Ok(())
}

/// Rows per second, one by one.
fn commit_each(rows: &Connection, next: &mut u64) -> Outcome<f64> {
    let begun = Instant::now();
    let mut insert = rows.prepare_cached(INSERT)?;
    let mut done: u64 = 0;
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        let (id, name) = (Uuid::from_u128((*next).into()), format!("User {next}"));
        insert.execute(params![id.as_bytes(), name, format!("user.{next}@example.com")])?;
        *next += 1;
        done += 1;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
