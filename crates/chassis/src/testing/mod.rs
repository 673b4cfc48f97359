//! The test kit (feature `testing`): a clock that tests turn and the conformance suite of each port.

mod clock;

pub use clock::ManualClock;
