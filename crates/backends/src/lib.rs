//! Every driver, and nowhere else: here the ports of the chassis and the stores of the services meet the world.

pub mod aws;
mod calls;
mod error;
mod gather;
pub mod local;
pub mod migrations;
pub mod mongo;
mod open;
pub mod postgres;
mod sql;
mod sqlite;

pub use error::OpenError;
pub use open::{
    DatabasePlace, ObjectContext, ObjectPlace, OrderDatabase, QueueContext, QueuePlace, SqlContext, UserDatabase,
    is_documents, is_local, open_events, open_objects, open_orders, open_queue, open_users, queue_exists,
    secret_sources,
};
pub use sql::{ANALYTICS, ORDERS, SqliteFiles, USERS};
