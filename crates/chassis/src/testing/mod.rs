//! The test kit (feature `testing`): a service in process, a clock that tests turn, and the
//! conformance suite of each port.

mod app;
mod clock;
mod conformance;
pub mod object_suite;
pub mod outbox_suite;
pub mod queue_suite;
pub mod secret_suite;
mod server;
mod tools;

pub use crate::envelope::bare::{BareBody, BareGcm};
pub use crate::server::request_head;
pub use app::{OPERATOR_TOKEN, TestApp, TestResponse, eventually, token_keys};
pub use clock::ManualClock;
pub use server::TestServer;
pub use tools::{check_exposition, require, require_tool};
