//! What every store does with its database: so many calls at once, each with its end in time.

use std::sync::Arc;

use chassis::http::StoredAnswer;
use jiff::Timestamp;

use super::SqlError;
use super::answers::{AnswerStatements, read_answer};
use super::database::{Database, Statement};
use super::value::{Row, Value};
use crate::calls::Calls;

/// Whether it only reads.
static PING: Statement = Statement::read("SELECT 0")
    .on_postgres("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'");

/// The database of one store.
#[derive(Debug)]
pub(crate) struct StoreDatabase {
    database: Arc<dyn Database>,
    calls: Calls,
}

impl StoreDatabase {
    pub(crate) fn new(database: Arc<dyn Database>) -> Self {
        Self { database, calls: Calls::default() }
    }

    /// What else works with it.
    pub(crate) fn database(&self) -> Arc<dyn Database> {
        Arc::clone(&self.database)
    }

    /// One call, with its end in time.
    pub(crate) async fn call<T, E: From<SqlError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.calls.run(work).await.unwrap_or_else(|refusal| Err(SqlError::from(refusal).into()))
    }

    pub(crate) async fn execute(
        &self,
        statement: &'static Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, SqlError> {
        self.database.execute(statement, values).await
    }

    /// The first row, if there is one.
    pub(crate) async fn find(&self, statement: &'static Statement, value: Value) -> Result<Option<Row>, SqlError> {
        Ok(self.execute(statement, vec![value]).await?.into_iter().next())
    }

    /// The only row of a statement that always answers one.
    pub(crate) async fn row(&self, statement: &'static Statement) -> Result<Row, SqlError> {
        let missing = || SqlError::Other("the database answered no row".into());
        self.execute(statement, Vec::new()).await?.into_iter().next().ok_or_else(missing)
    }

    /// What a request with this id was answered.
    pub(crate) async fn find_answer(
        &self,
        answers: &'static AnswerStatements,
        id: &str,
    ) -> Result<Option<StoredAnswer>, SqlError> {
        self.find(&answers.find, id.into()).await?.map(read_answer).transpose()
    }

    /// Forgets answers that have expired; tells how many.
    pub(crate) async fn forget_answers(
        &self,
        answers: &'static AnswerStatements,
        now: Timestamp,
    ) -> Result<u64, SqlError> {
        let forgotten = self.execute(&answers.forget, vec![now.as_microsecond().into()]).await?;
        Ok(u64::try_from(forgotten.len()).unwrap_or(u64::MAX))
    }

    /// Whether it can be reached and written.
    pub(crate) async fn ping(&self) -> Result<(), SqlError> {
        match self.row(&PING).await?.read().bool()? {
            true => Err(SqlError::Unavailable("the database only reads".into())),
            false => Ok(()),
        }
    }
}
