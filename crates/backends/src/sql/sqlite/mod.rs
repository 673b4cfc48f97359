//! A database in a file: one connection that writes, a few that read.
//!
//! What many write at the same moment is one transaction, so one fsync (`writer`). Reads see what was committed and wait
//! for nobody (`readers`). Other processes may use the file too: SQLite's locks keep them apart.

mod calls;
pub(crate) mod file;
mod files;
mod readers;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chassis::telemetry::storage::StoreFailures;
use rusqlite::Connection;
use tokio::task::JoinSet;

pub use self::files::SqliteFiles;

use self::calls::{Call, Outcome};
use self::readers::{Readers, Reads};
use self::writer::{Writer, Writes};
use super::SqlError;
use super::database::{Database, Statement};
use super::value::{Row, Value};
use crate::gather::Gatherer;

/// One file.
pub(crate) struct SqliteDatabase {
    path: PathBuf,
    writes: Gatherer<Writes>,
    shared_reads: Gatherer<Reads>,
    readers: Arc<Readers>,
    /// They end with this.
    _tasks: JoinSet<()>,
}

impl SqliteDatabase {
    /// Works with the file at `path`, which `connection` has open and writes.
    pub(crate) fn new(path: &Path, connection: Connection, failures: StoreFailures) -> Self {
        let readers = Readers::new(path);
        let (writes, writing) = Gatherer::new(Writes::new(Writer::new(path, connection, failures)));
        let (shared_reads, reading) = Gatherer::new(Reads(Arc::clone(&readers)));
        let mut tasks = JoinSet::new();
        tasks.spawn(writing);
        tasks.spawn(reading);
        Self { path: path.to_owned(), writes, shared_reads, readers, _tasks: tasks }
    }
}

#[async_trait]
impl Database for SqliteDatabase {
    async fn execute(&self, statement: &'static Statement, values: Vec<Value>) -> Result<Vec<Row>, SqlError> {
        let size_bytes = values.iter().map(Value::size_bytes).sum();
        let calls = vec![Call { statement, values }];
        let outcomes: Vec<Outcome> = match statement {
            Statement { writes: true, .. } => self.writes.call(calls, size_bytes).await?,
            Statement { is_shared: true, .. } => self.shared_reads.call(calls, size_bytes).await?,
            _ => self.readers.read(calls).await?,
        };
        let missing = || Err(SqlError::Other("SQLite gave no answer for the call".into()));
        outcomes.into_iter().next().unwrap_or_else(missing)
    }
}

impl fmt::Debug for SqliteDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteDatabase").field("path", &self.path).finish_non_exhaustive()
    }
}
