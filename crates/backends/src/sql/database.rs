//! A database as stores use it: statements and values in, rows out. How the work of many callers becomes one statement
//! or one transaction is the matter of each.

use std::fmt;

use async_trait::async_trait;

use super::SqlError;
use super::value::{Row, Value};

/// A statement that is known when the program is built, so that the number of prepared ones is bounded. Parameters are
/// written `$1`, `$2` and so on.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sqlite: &'static str,
    /// What SQLite executes after it with the same values, all or none.
    pub(crate) then_on_sqlite: &'static [Then],
    pub(crate) postgres: &'static str,
    pub(crate) writes: bool,
    /// The one of PostgreSQL is for many calls at once: each parameter is the array of their values, the first of which
    /// names the call, and is the first column of the rows that belong to it.
    pub(crate) is_shared: bool,
}

/// One more statement on SQLite.
#[derive(Debug)]
pub(crate) struct Then {
    /// The number of a parameter without which there is nothing to do.
    pub(crate) parameter: usize,
    pub(crate) sql: &'static str,
}

impl Statement {
    /// One that changes nothing.
    pub(crate) const fn read(sql: &'static str) -> Self {
        Self { sqlite: sql, then_on_sqlite: &[], postgres: sql, writes: false, is_shared: false }
    }

    /// One that changes something. Without a `RETURNING`, which costs SQLite a temporary table and a journal for each
    /// statement, it answers an empty row for each row that it changed. PostgreSQL answers what `RETURNING` names and
    /// nothing else.
    pub(crate) const fn write(sql: &'static str) -> Self {
        Self { writes: true, ..Self::read(sql) }
    }

    /// More statements on SQLite, where PostgreSQL does all in one.
    pub(crate) const fn then_on_sqlite(self, then: &'static [Then]) -> Self {
        Self { then_on_sqlite: then, ..self }
    }

    /// The text for PostgreSQL, where that is another one.
    pub(crate) const fn on_postgres(self, sql: &'static str) -> Self {
        Self { postgres: sql, ..self }
    }

    /// The text for PostgreSQL that does it for many.
    pub(crate) const fn shared_on_postgres(self, sql: &'static str) -> Self {
        Self { is_shared: true, ..self.on_postgres(sql) }
    }
}

/// One database.
#[async_trait]
pub(crate) trait Database: fmt::Debug + Send + Sync + 'static {
    /// Executes a statement in a transaction of its own, or in one with the statements of others; answers when that is
    /// on disk, within [`CALL_TIMEOUT`](crate::gather::CALL_TIMEOUT) or little more. What fails by its values fails alone.
    /// A caller that leaves may leave its work done.
    async fn execute(&self, statement: &'static Statement, values: Vec<Value>) -> Result<Vec<Row>, SqlError>;
}
