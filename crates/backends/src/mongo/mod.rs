//! MongoDB, and whatever speaks its protocol.

mod address;
mod document;
mod error;
mod events;
mod indexes;
mod server;

pub use address::Address;
pub(crate) use events::MongoEvents;
