//! Stores in SQL databases.

mod error;

pub(crate) use error::SqlError;
