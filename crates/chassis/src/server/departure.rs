//! Whether a client is still there, without reading what it sent.

use tokio::net::TcpStream;

/// Whether the client has closed its side. It may only have said all it has to say (RFC 9112, section 9.6): a sign
/// only where it had to wait for long.
#[cfg(target_os = "linux")]
pub(super) fn has_left(socket: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(socket, PollFlags::RDHUP)], Some(&at_once)).is_ok_and(|ready| ready > 0)
}

/// Not to be seen on this system without reading.
#[cfg(not(target_os = "linux"))]
pub(super) fn has_left(_socket: &TcpStream) -> bool {
    false
}
