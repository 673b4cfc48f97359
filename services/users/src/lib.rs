//! Accounts: users as other services see them, and people who register, log in and look at their profile.
//!
//! [`model`] holds the rules, without I/O; [`store`] is the port behind which users are kept.

mod memory;
pub mod model;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use memory::MemoryUsers;
