//! Calls as SQLite executes them, and its errors by their meaning.

use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, ErrorCode, Rows, Statement as Prepared, ToSql, ffi};
use uuid::Uuid;

use crate::sql::SqlError;
use crate::sql::database::Statement;
use crate::sql::value::{Row, Value};
use crate::sqlite::is_of_the_file;

/// A statement with its values.
pub(super) struct Call {
    pub(super) statement: &'static Statement,
    pub(super) values: Vec<Value>,
}

/// The rows of a call.
pub(super) type Outcome = Result<Vec<Row>, SqlError>;

impl Call {
    /// Executes it to its end.
    pub(super) fn execute(&self, connection: &Connection) -> rusqlite::Result<Vec<Row>> {
        let Statement { sqlite, then_on_sqlite, .. } = self.statement;
        let mut then =
            then_on_sqlite.iter().filter(|then| self.value(then.parameter).is_some_and(|it| !it.is_missing()));
        if then.clone().next().is_none() {
            return self.execute_one(connection, sqlite);
        }
        connection.prepare_cached("SAVEPOINT call")?.execute([])?;
        let all = self.execute_one(connection, sqlite).and_then(|rows| {
            then.try_for_each(|then| self.execute_one(connection, then.sql).map(drop))?;
            Ok(rows)
        });
        if all.is_err() && !connection.is_autocommit() {
            connection.prepare_cached("ROLLBACK TO call")?.execute([])?;
        }
        if !connection.is_autocommit() {
            connection.prepare_cached("RELEASE call")?.execute([])?;
        }
        all
    }

    fn execute_one(&self, connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Row>> {
        let mut prepared = connection.prepare_cached(sql)?;
        self.bind(&mut prepared)?;
        let columns = prepared.column_count();
        let mut answer = read(&mut prepared.raw_query(), columns)?;
        if columns == 0 {
            answer.extend((0..connection.changes()).map(|_| Row(Vec::new())));
        }
        Ok(answer)
    }

    /// SQLite takes `$7` for a name: the parameters of a statement are numbered in the order in which it has them.
    fn bind(&self, prepared: &mut Prepared<'_>) -> rusqlite::Result<()> {
        for place in 1..=prepared.parameter_count() {
            let number = prepared.parameter_name(place).and_then(|name| name.strip_prefix('$')?.parse().ok());
            if let Some(value) = number.and_then(|number| self.value(number)) {
                prepared.raw_bind_parameter(place, value)?;
            }
        }
        Ok(())
    }

    /// The value of a parameter, which are counted from one.
    fn value(&self, number: usize) -> Option<&Value> {
        self.values.get(number.checked_sub(1)?)
    }
}

fn read(rows: &mut Rows<'_>, columns: usize) -> rusqlite::Result<Vec<Row>> {
    let mut answer = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|place| row.get_ref(place).and_then(|value| value_of(place, value)));
        answer.push(Row(values.collect::<Result<_, _>>()?));
    }
    Ok(answer)
}

fn value_of(place: usize, value: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Int(None),
        ValueRef::Integer(number) => Value::Int(Some(number)),
        ValueRef::Text(text) => Value::Text(Some(std::str::from_utf8(text)?.to_owned())),
        ValueRef::Blob(bytes) => match Uuid::from_slice(bytes) {
            Ok(id) => Value::Uuid(Some(id)),
            Err(error) => {
                let kind = rusqlite::types::Type::Blob;
                return Err(rusqlite::Error::FromSqlConversionFailure(place, kind, Box::new(error)));
            }
        },
        ValueRef::Real(_) => {
            return Err(rusqlite::Error::InvalidColumnType(place, String::new(), rusqlite::types::Type::Real));
        }
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let null = ToSqlOutput::Owned(Owned::Null);
        Ok(match self {
            Self::Int(number) => number.map_or(null, |number| ToSqlOutput::Owned(Owned::Integer(number))),
            Self::Text(text) => text.as_ref().map_or(null, |text| ToSqlOutput::Borrowed(text.as_str().into())),
            Self::Uuid(id) => {
                id.as_ref().map_or(null, |id| ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes().as_slice())))
            }
            Self::Bool(yes) => ToSqlOutput::Owned(Owned::Integer(i64::from(*yes))),
        })
    }
}

/// Our error for one of SQLite.
pub(super) fn sort(error: &rusqlite::Error) -> SqlError {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => SqlError::Timeout,
        Some(ErrorCode::ConstraintViolation)
            if matches!(extended, Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY)) =>
        {
            SqlError::Taken
        }
        _ if is_of_the_file(error) => SqlError::Unavailable(error.to_string()),
        _ => SqlError::Other(error.to_string()),
    }
}
