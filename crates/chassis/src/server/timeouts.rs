//! How long a client may take over each part of a connection.

use std::time::Duration;

/// The time limits of a connection.
#[derive(Debug)]
pub(crate) struct Timeouts {
    /// For the first byte. Until then a connection costs little more than its socket.
    pub(super) first_byte: Duration,
    /// Between two requests: above the 60 s after which load balancers close their side, so that they never send on
    /// a connection that we are closing.
    pub(super) idle: Duration,
    /// For a request head, from its first byte to its last; for the next byte of a body; for a client to read the
    /// next bytes of its answer.
    pub(super) stall: Duration,
    /// The same while the process ends.
    pub(super) stall_when_leaving: Duration,
    /// For a client to stop sending and read the answer that ends its connection.
    pub(super) linger: Duration,
}

/// What every listener has.
pub(super) const TIMEOUTS: Timeouts = Timeouts {
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(75),
    stall: Duration::from_secs(10),
    stall_when_leaving: Duration::from_secs(2),
    linger: Duration::from_secs(2),
};
