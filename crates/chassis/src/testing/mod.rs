//! The test kit (feature `testing`): a clock that tests turn and the conformance suite of each port.

mod clock;
mod conformance;
pub mod object_suite;
pub mod queue_suite;
pub mod secret_suite;

pub use clock::ManualClock;
