//! Stores of services in SQL databases.
//!
//! A store is written once (`users`), in statements and plain values (`database`, `value`). What a database makes of the
//! calls of many is its own matter: one statement on PostgreSQL (`postgres`), one transaction on SQLite (`sqlite`).

mod database;
mod error;
mod events;
mod outbox;
mod postgres;
pub(crate) mod sqlite;
mod users;
mod value;

pub(crate) use error::SqlError;
pub use events::EVENTS;
pub(crate) use events::SqlEvents;
pub(crate) use postgres::PostgresDatabase;
pub(crate) use sqlite::SqliteDatabase;
pub(crate) use users::SqlUsers;
pub use users::USERS;
