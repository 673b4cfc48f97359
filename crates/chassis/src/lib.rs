//! What every Keelson service stands on.

pub mod clock;
pub mod ids;
pub mod ports;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
