//! Stores of services in SQL databases.
//!
//! A store is written once (`users`), in statements and plain values (`database`, `value`). What a database makes of the
//! calls of many is its own matter: one statement on PostgreSQL (`postgres`), one transaction on SQLite (`sqlite`).

mod analytics;
mod database;
mod error;
mod outbox;
mod postgres;
pub(crate) mod sqlite;
mod users;
mod value;

pub use analytics::ANALYTICS;
pub(crate) use analytics::SqlEvents;
pub(crate) use error::SqlError;
pub(crate) use postgres::PostgresDatabase;
pub(crate) use sqlite::SqliteDatabase;
pub(crate) use users::SqlUsers;
pub use users::USERS;
