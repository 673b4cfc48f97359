//! Rows and parameters as plain data, which every database binds and reads in its own way.

use std::vec::IntoIter;

use uuid::Uuid;

use super::SqlError;

/// One value. A missing one has the type that it would have: PostgreSQL wants to know.
///
/// Has no `Debug`: it may be personal or secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Uuid(Option<Uuid>),
    Bool(bool),
}

/// One row of an answer.
#[derive(Clone)]
pub(crate) struct Row(pub(crate) Vec<Value>);

/// The columns of a row, read one after the other.
pub(crate) struct Columns(IntoIter<Value>);

impl Row {
    /// What tells whose row this is, where many asked at once.
    pub(crate) fn key(&self) -> Option<&Value> {
        self.0.first()
    }

    pub(crate) fn read(self) -> Columns {
        Columns(self.0.into_iter())
    }
}

impl Columns {
    pub(crate) fn int(&mut self) -> Result<i64, SqlError> {
        self.optional_int()?.ok_or_else(|| unexpected("a number"))
    }

    pub(crate) fn optional_int(&mut self) -> Result<Option<i64>, SqlError> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(number),
            Some(other) if other.is_missing() => Ok(None),
            _ => Err(unexpected("a number")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, SqlError> {
        match self.0.next() {
            Some(Value::Text(Some(text))) => Ok(text),
            _ => Err(unexpected("a text")),
        }
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, SqlError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            Some(other) if other.is_missing() => Ok(None),
            _ => Err(unexpected("a text")),
        }
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, SqlError> {
        self.optional_uuid()?.ok_or_else(|| unexpected("an id"))
    }

    pub(crate) fn optional_uuid(&mut self) -> Result<Option<Uuid>, SqlError> {
        match self.0.next() {
            Some(Value::Uuid(id)) => Ok(id),
            Some(other) if other.is_missing() => Ok(None),
            _ => Err(unexpected("an id")),
        }
    }

    /// SQLite has numbers for it.
    pub(crate) fn bool(&mut self) -> Result<bool, SqlError> {
        match self.0.next() {
            Some(Value::Bool(yes)) => Ok(yes),
            Some(Value::Int(Some(number))) => Ok(number != 0),
            _ => Err(unexpected("a truth value")),
        }
    }
}

impl Value {
    /// The type of a missing value is not known everywhere.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Int(None) | Self::Text(None) | Self::Uuid(None))
    }

    /// How much memory it takes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Text(Some(text)) => text.len() + size_of::<Self>(),
            _ => size_of::<Self>(),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Uuid(Some(id))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

fn unexpected(expected: &str) -> SqlError {
    SqlError::Other(format!("a column does not hold {expected}: the table is not as this program knows it"))
}
