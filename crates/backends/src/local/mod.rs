//! The backends that need nothing but a folder on the local disk: what `keelson up` runs on.

mod queue;

pub use queue::SqliteQueue;
