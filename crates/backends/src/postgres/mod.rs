//! PostgreSQL: where many processes share one queue.

mod address;
pub(crate) mod connections;
pub(crate) mod error;
mod queue;

pub use address::Address;
pub use queue::{PostgresQueue, inspect};
