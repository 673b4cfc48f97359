//! Taking a port, or saying clearly why it cannot be had.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::TcpListener;

use super::holder::find_holder;

/// Connections that wait to be accepted.
pub(super) const BACKLOG: i32 = 1024;

/// A port that cannot be had.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another process listens there.
    #[error("port {} is taken{}: set {variable} to another port, or stop what holds it", address.port(), holder.as_ref().map_or(String::new(), |it| format!(" by {it}")))]
    Taken {
        /// The address that was asked for.
        address: SocketAddr,
        /// The variable that changes the port.
        variable: &'static str,
        /// The process, where it can be seen.
        holder: Option<String>,
    },
    /// Anything else, such as a port below 1024 without the right to it.
    #[error("cannot listen on {address}: {cause}; {variable} sets the port, KEELSON_HOST the address")]
    Refused {
        /// The address that was asked for.
        address: SocketAddr,
        /// The variable that changes the port.
        variable: &'static str,
        /// What the system said.
        cause: io::Error,
    },
}

/// Listens on `address`. Port 0 takes any free one. `variable` names what changes the port.
pub(crate) fn bind(address: SocketAddr, variable: &'static str) -> Result<TcpListener, BindError> {
    listen(address).map_err(|cause| {
        if cause.kind() == io::ErrorKind::AddrInUse {
            return BindError::Taken { address, variable, holder: find_holder(address.port()) };
        }
        BindError::Refused { address, variable, cause }
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restart take the port while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
