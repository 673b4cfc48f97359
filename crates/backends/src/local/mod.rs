//! The backends that need nothing but a folder on the local disk: what `keelson up` runs on.

mod objects;
mod queue;

pub use objects::FileObjects;
pub use queue::SqliteQueue;
