//! Answers to requests with an `Idempotency-Key`, in the database of the store whose changes they belong to.
//!
//! The store writes one with its change; this is what is done with them otherwise.

use chassis::http::{RequestKey, StoredAnswer};
use jiff::Timestamp;

use super::SqlError;
use super::database::Statement;
use super::value::{Columns, Row, Value};

/// What is done with the table of one service.
#[derive(Debug)]
pub(crate) struct AnswerStatements {
    pub(crate) find: Statement,
    pub(crate) forget: Statement,
}

/// `$table` is its name.
macro_rules! answer_statements {
    ($table:literal) => {
        $crate::sql::answers::AnswerStatements {
            find: Statement::read(concat!(
                "SELECT id, fingerprint, answer, expires_at FROM ",
                $table,
                " WHERE id = $1"
            )),
            // Some at a time, so that nobody waits for long.
            forget: Statement::write(concat!(
                "DELETE FROM ",
                $table,
                " WHERE id IN (SELECT id FROM ",
                $table,
                " WHERE expires_at <= $1 ORDER BY expires_at LIMIT 2000) RETURNING id"
            )),
        }
    };
}
pub(crate) use answer_statements;

/// The values of an answer, or as many that are missing.
pub(crate) fn of_answer(answer: Option<&StoredAnswer>) -> [Value; 4] {
    let text = |of: fn(&StoredAnswer) -> &str| Value::Text(answer.map(|answer| of(answer).to_owned()));
    [
        text(|answer| &answer.key.id),
        text(|answer| &answer.key.fingerprint),
        text(|answer| &answer.answer),
        Value::Int(answer.map(|answer| answer.expires_at.as_microsecond())),
    ]
}

pub(crate) fn read_answer(row: Row) -> Result<StoredAnswer, SqlError> {
    let mut columns = row.read();
    let key = RequestKey { id: columns.text()?, fingerprint: columns.text()? };
    Ok(StoredAnswer { key, answer: columns.text()?, expires_at: read_time(&mut columns)? })
}

/// Microseconds since 1970.
pub(crate) fn read_time(columns: &mut Columns) -> Result<Timestamp, SqlError> {
    Timestamp::from_microsecond(columns.int()?).map_err(|error| SqlError::Other(error.to_string()))
}
