//! What operators see and do: dead letters, purges, how full the queue is.

use std::sync::Arc;
use std::time::Duration;

use chassis::ports::{DeadLetter, DeadLetterSummary, DeadLetters, MessageId, QueueError, QueueStats};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::core::Core;
use super::receiving::{read_attributes, read_body, read_id, read_time};
use super::{admin_sql as sql, error};

/// Rows of one slice.
const SLICE: i64 = 1000;
/// A count that took so long is good for [`GOOD_FOR`] times as long.
const DEAR: Duration = Duration::from_millis(20);
const GOOD_FOR: u32 = 20;

/// Up to where slices go: what arrives meanwhile does not make them endless.
pub(super) struct Sliced {
    ceiling: &'static str,
    slice: &'static str,
}

pub(super) const PURGE: Sliced = Sliced { ceiling: sql::LAST_MESSAGE, slice: sql::PURGE_SOME };
const REDRIVE: Sliced = Sliced { ceiling: sql::LAST_DEAD, slice: sql::REDRIVE_SOME };
const PURGE_DEAD: Sliced = Sliced { ceiling: sql::LAST_DEAD, slice: sql::PURGE_SOME_DEAD };

/// Repeats slices until nothing is left below the ceiling; answers how many rows they did.
pub(super) async fn slices(core: &Arc<Core>, sliced: &Sliced) -> Result<u64, QueueError> {
    let ceiling: i64 = number(&core.connections.lend().await?.row(sqlx::query(sliced.ceiling)).await?, 0)?;
    let (mut floor, mut total) = (i64::MIN, 0);
    loop {
        let query = sqlx::query(sliced.slice).bind(floor).bind(ceiling).bind(SLICE);
        let row = core.connections.lend().await?.row(query).await?;
        core.changed();
        total += number(&row, 0)?.unsigned_abs();
        match row.try_get("last").map_err(|error| error::sort(&error))? {
            Some(last) => floor = last,
            None => return Ok(total),
        }
    }
}

/// Of dead letters back to the main queue.
pub(super) async fn redrive(core: &Arc<Core>, which: DeadLetters) -> Result<u64, QueueError> {
    match which {
        DeadLetters::All => slices(core, &REDRIVE).await,
        DeadLetters::Ids(ids) => these(core, sql::REDRIVE_THESE, &ids).await,
    }
}

/// Of dead letters for good.
pub(super) async fn purge_dead(core: &Arc<Core>, which: DeadLetters) -> Result<u64, QueueError> {
    match which {
        DeadLetters::All => slices(core, &PURGE_DEAD).await,
        DeadLetters::Ids(ids) => these(core, sql::PURGE_THESE_DEAD, &ids).await,
    }
}

/// Ids that are not there are passed over, and so are those that cannot be ours.
async fn these(core: &Arc<Core>, statement: &'static str, ids: &[MessageId]) -> Result<u64, QueueError> {
    let ids: Vec<Uuid> = ids.iter().filter_map(parse).collect();
    let mut total = 0;
    for some in ids.chunks(usize::try_from(SLICE).unwrap_or(1)) {
        let row = core.connections.lend().await?.row(sqlx::query(statement).bind(some)).await?;
        total += number(&row, 0)?.unsigned_abs();
        core.changed();
    }
    Ok(total)
}

pub(super) async fn list_dead(core: &Arc<Core>, limit: usize) -> Result<Vec<DeadLetterSummary>, QueueError> {
    let query = sqlx::query(sql::LIST_DEAD).bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = core.connections.lend().await?.rows(query).await?;
    rows.iter().map(read_summary).collect::<Result<_, _>>().map_err(|error| error::sort(&error))
}

pub(super) async fn find_dead(core: &Arc<Core>, id: &MessageId) -> Result<Option<DeadLetter>, QueueError> {
    let Some(id) = parse(id) else { return Ok(None) };
    let rows = core.connections.lend().await?.rows(sqlx::query(sql::FIND_DEAD).bind(id)).await?;
    rows.first().map(read_dead_letter).transpose().map_err(|error| error::sort(&error))
}

/// Whether the tables can be read, and the server takes writes.
pub(super) async fn ping(core: &Arc<Core>) -> Result<(), QueueError> {
    let row = core.connections.lend().await?.row(sqlx::query(sql::PING)).await?;
    match row.try_get("reads_only").map_err(|error| error::sort(&error))? {
        true => Err(QueueError::Unavailable("this server of PostgreSQL only reads".into())),
        false => Ok(()),
    }
}

/// Counts, and remembers for a while what took long to count: whoever asks each second must not keep the server busy
/// with it. What cannot be counted in time is estimated.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<Option<(QueueStats, Instant)>>);

impl Counts {
    pub(super) async fn get(&self, core: &Arc<Core>) -> Result<QueueStats, QueueError> {
        // Whoever comes meanwhile has the same answer.
        let mut known = self.0.lock().await;
        if let Some((stats, until)) = *known
            && Instant::now() < until
        {
            return Ok(stats);
        }
        let begun = Instant::now();
        let stats = match count(core, sqlx::query(sql::STATS)).await {
            Err(QueueError::Timeout) => count(core, sqlx::query(sql::ESTIMATE)).await?,
            counted => counted?,
        };
        let took = begun.elapsed();
        *known = (took > DEAR).then(|| (stats, Instant::now() + took * GOOD_FOR));
        Ok(stats)
    }
}

async fn count(core: &Arc<Core>, query: Query<'_, Postgres, PgArguments>) -> Result<QueueStats, QueueError> {
    let row = core.connections.lend().await?.row(query).await?;
    read_stats(&row).map_err(|error| error::sort(&error))
}

/// The row of [`sql::STATS`] or [`sql::ESTIMATE`].
pub(super) fn read_stats(row: &PgRow) -> Result<QueueStats, sqlx::Error> {
    let count = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let (hidden, in_flight) = (count("hidden")?, count("in_flight")?);
    let oldest: Option<i64> = row.try_get("oldest")?;
    Ok(QueueStats {
        visible: count("visible")?,
        in_flight,
        delayed: hidden.saturating_sub(in_flight),
        dead: Some(count("dead")?),
        oldest_age_seconds: oldest.map(|age| u64::try_from(age).unwrap_or(0)),
    })
}

fn number(row: &PgRow, column: usize) -> Result<i64, QueueError> {
    row.try_get(column).map_err(|error| error::sort(&error))
}

fn parse(id: &MessageId) -> Option<Uuid> {
    Uuid::try_parse(&id.0).ok().filter(|uuid| uuid.to_string() == id.0)
}

fn read_summary(row: &PgRow) -> Result<DeadLetterSummary, sqlx::Error> {
    Ok(DeadLetterSummary {
        id: read_id(row)?,
        size_bytes: row.try_get::<i64, _>("size_bytes")?.unsigned_abs(),
        attributes: read_attributes(row)?,
        sent_at: read_time(row, "sent_at")?,
        receive_count: row.try_get::<i32, _>("receive_count")?.unsigned_abs(),
        reason: row.try_get("reason")?,
        dead_at: read_time(row, "dead_at")?,
    })
}

fn read_dead_letter(row: &PgRow) -> Result<DeadLetter, sqlx::Error> {
    Ok(DeadLetter {
        id: read_id(row)?,
        body: read_body(row)?,
        attributes: read_attributes(row)?,
        sent_at: read_time(row, "sent_at")?,
        receive_count: row.try_get::<i32, _>("receive_count")?.unsigned_abs(),
        reason: row.try_get("reason")?,
        dead_at: read_time(row, "dead_at")?,
    })
}
