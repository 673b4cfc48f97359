//! PostgreSQL: where many processes share one queue.

mod address;
mod queue;

pub use address::Address;
pub use queue::{PostgresQueue, inspect};
