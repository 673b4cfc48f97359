//! Every driver, and nowhere else: here the ports of the chassis and the stores of the services meet the world.

pub mod aws;
mod error;
mod gather;
pub mod local;
mod open;
pub mod postgres;
mod sql;
mod sqlite;

pub use error::OpenError;
pub use open::{
    ObjectContext, ObjectPlace, QueueContext, QueuePlace, is_local, open_objects, open_queue, queue_exists,
    secret_sources,
};
