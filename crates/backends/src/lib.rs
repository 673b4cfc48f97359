//! Every driver, and nowhere else: here the ports of the chassis and the stores of the services meet the world.

mod error;
pub mod local;

pub use error::OpenError;
