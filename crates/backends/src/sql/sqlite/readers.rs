//! The connections that read, each used by one thread at a time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::calls::{Call, Outcome, sort};
use super::file;
use crate::gather::{CALL_TIMEOUT, Work};
use crate::sql::SqlError;
use crate::sqlite::{Place, abandon, place};

/// A thread each while they read.
const READERS: usize = 4;
/// Steps of SQLite's machine between two looks at the time: less than a millisecond.
const STEPS: i32 = 10_000;

/// What is kept open.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Reader>>,
}

#[derive(Debug)]
struct Reader {
    connection: Connection,
    place: Option<Place>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), permits: Arc::new(Semaphore::new(READERS)), idle: Mutex::default() })
    }

    /// Executes calls that change nothing.
    pub(super) async fn read(self: &Arc<Self>, calls: Vec<Call>) -> Result<Vec<Outcome>, SqlError> {
        self.read_until(calls, Instant::now() + CALL_TIMEOUT).await
    }

    async fn read_until(self: &Arc<Self>, calls: Vec<Call>, deadline: Instant) -> Result<Vec<Outcome>, SqlError> {
        let waiting = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = waiting else {
            return Err(SqlError::Unavailable("every connection that reads the file is in use".into()));
        };
        let readers = Arc::clone(self);
        let reading = spawn_blocking(move || {
            let _permit = permit;
            readers.read_now(&calls, deadline)
        });
        match timeout_at(deadline, reading).await {
            Ok(outcome) => outcome.map_err(|error| SqlError::Other(error.to_string()))?,
            Err(_) => Err(SqlError::Timeout),
        }
    }

    fn read_now(&self, calls: &[Call], deadline: Instant) -> Result<Vec<Outcome>, SqlError> {
        let reader = self.take().map_err(|error| sort(&error))?;
        let is_late = move || Instant::now() >= deadline;
        reader.connection.progress_handler(STEPS, Some(is_late)).map_err(|error| sort(&error))?;
        let execute = |call: &Call| call.execute(&reader.connection).map_err(|error| sort(&error));
        let outcomes = calls.iter().map(execute).collect();
        self.lock().push(reader);
        Ok(outcomes)
    }

    /// One that has the file open that is in its place now.
    fn take(&self) -> rusqlite::Result<Reader> {
        let place = place(&self.path);
        let rested = {
            let mut idle = self.lock();
            let moved: Vec<_> = idle.extract_if(.., |reader| reader.place != place).collect();
            moved.into_iter().for_each(|reader| abandon(reader.connection));
            idle.pop()
        };
        match rested {
            Some(reader) => Ok(reader),
            None => Ok(Reader { connection: file::connect_reader(&self.path)?, place }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads of many callers, which take one way to a thread and back.
#[derive(Debug)]
pub(super) struct Reads(pub(super) Arc<Readers>);

#[async_trait]
impl Work for Reads {
    type Entry = Call;
    type Answer = Outcome;
    type Error = SqlError;

    async fn work(&self, calls: Vec<Call>, deadline: Instant) -> Result<Vec<Outcome>, SqlError> {
        self.0.read_until(calls, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sql::database::Statement;

    static ENDLESS: Statement =
        Statement::read("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
    static ONE: Statement = Statement::read("SELECT $1");

    #[tokio::test]
    async fn a_read_without_an_end_is_given_up_and_its_connection_reads_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        drop(file::open(&path).unwrap());
        let readers = Readers::new(&path);
        let endless = (0..READERS).map(|_| {
            let calls = vec![Call { statement: &ENDLESS, values: Vec::new() }];
            readers.read_until(calls, Instant::now() + Duration::from_millis(100))
        });
        for outcome in futures_util::future::join_all(endless).await {
            assert!(matches!(
                outcome.map(|mut calls| calls.remove(0)),
                Err(SqlError::Timeout) | Ok(Err(SqlError::Timeout))
            ));
        }
        let begun = Instant::now();
        let calls = vec![Call { statement: &ONE, values: vec![7.into()] }];
        let rows = readers.read(calls).await.unwrap().remove(0).unwrap();
        assert_eq!(rows.into_iter().next().unwrap().read().int().unwrap(), 7);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}
