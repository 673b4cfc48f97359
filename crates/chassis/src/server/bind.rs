//! Taking a port, or saying clearly why it cannot be had.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::TcpListener;

use super::InheritError;
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
    /// It was handed over, and cannot be used.
    #[error(transparent)]
    Inherited(#[from] InheritError),
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    /// Whoever handed it over keeps it open, and what waits in it is for the next process.
    pub(super) is_shared: bool,
}

impl Listener {
    /// Where it listens.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Listens on `address`. Port 0 takes any free one. `variable` names what changes the port.
pub(crate) fn bind(address: SocketAddr, variable: &'static str) -> Result<Listener, BindError> {
    listen(address).map(|socket| Listener { socket, is_shared: false }).map_err(|cause| {
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
