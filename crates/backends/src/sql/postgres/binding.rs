//! Values as PostgreSQL takes and gives them.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Column as _, Postgres, Row as _, TypeInfo as _};
use uuid::Uuid;

use crate::postgres::error::sort;
use crate::sql::SqlError;
use crate::sql::value::{Row, Value};

type PgQuery = Query<'static, Postgres, PgArguments>;

/// The one character that text of PostgreSQL cannot hold. Together with those of others it would fail them all.
pub(super) fn check(values: &[Value]) -> Result<(), SqlError> {
    let has_nul = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
    match values.iter().any(has_nul) {
        true => Err(SqlError::Other("a text has the character NUL, which PostgreSQL cannot hold".into())),
        false => Ok(()),
    }
}

/// A parameter for each value.
pub(super) fn one(sql: &'static str, values: Vec<Value>) -> PgQuery {
    values.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Int(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Uuid(id) => query.bind(id),
        Value::Bool(yes) => query.bind(yes),
    })
}

/// A parameter for each place, with the values that many calls have there.
pub(super) fn many(sql: &'static str, calls: &[Vec<Value>]) -> PgQuery {
    let places = calls.first().map_or(0, Vec::len);
    (0..places).fold(sqlx::query(sql), |query, place| {
        let values = || calls.iter().filter_map(move |call| call.get(place));
        match calls.first().and_then(|call| call.get(place)) {
            Some(Value::Int(_)) => query.bind(values().map(int).collect::<Vec<Option<i64>>>()),
            Some(Value::Uuid(_)) => query.bind(values().map(uuid).collect::<Vec<Option<Uuid>>>()),
            Some(Value::Bool(_)) => {
                query.bind(values().map(|value| *value == Value::Bool(true)).collect::<Vec<bool>>())
            }
            Some(Value::Text(_)) | None => query.bind(values().map(text).collect::<Vec<Option<String>>>()),
        }
    })
}

fn int(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value { *number } else { None }
}

fn uuid(value: &Value) -> Option<Uuid> {
    if let Value::Uuid(id) = value { *id } else { None }
}

fn text(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { text.clone() } else { None }
}

/// A row of an answer.
pub(super) fn read(row: &PgRow) -> Result<Row, SqlError> {
    let values = row.columns().iter().map(|column| {
        let place = column.ordinal();
        match column.type_info().name() {
            "BOOL" => row.try_get::<Option<bool>, _>(place).map(|yes| yes.map_or(Value::Int(None), Value::Bool)),
            "INT2" => row.try_get::<Option<i16>, _>(place).map(|number| Value::Int(number.map(i64::from))),
            "INT4" => row.try_get::<Option<i32>, _>(place).map(|number| Value::Int(number.map(i64::from))),
            "INT8" => row.try_get(place).map(Value::Int),
            "UUID" => row.try_get(place).map(Value::Uuid),
            _ => row.try_get(place).map(Value::Text),
        }
    });
    values.collect::<Result<_, _>>().map(Row).map_err(|error| sort(&error))
}
