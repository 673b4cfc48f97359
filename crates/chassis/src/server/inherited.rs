//! Listening sockets that another process has bound and hands over, as sd_listen_fds(3) says: systemd, for a unit with
//! a socket, and `keelson dev`, for each build. They stay open there, so that nobody is refused between two processes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

use listenfd::ListenFd;
use thiserror::Error;

use super::Listener;
use crate::config::names_of_sockets;

/// Why sockets that were handed over cannot be used.
#[derive(Debug, Error)]
pub enum InheritError {
    /// It is not known which is whose.
    #[error(
        "LISTEN_FDS={sockets} and LISTEN_FDNAMES={names}: expected a name for each socket that is handed over, such as `users` or `users-internal`; in a .socket unit FileDescriptorName=users"
    )]
    Names {
        /// How many there are.
        sockets: usize,
        /// Their names, as they were given.
        names: String,
    },
    /// A service listens on one.
    #[error("LISTEN_FDNAMES has `{0}` twice: expected one socket for each service, in a .socket unit one ListenStream")]
    Twice(String),
    /// It is something else.
    #[error(
        "the socket `{name}` that was handed over (LISTEN_FDNAMES) does not listen for TCP: {cause}; expected such a one, in a .socket unit ListenStream=ADDRESS:PORT and no Accept=yes"
    )]
    NotListening {
        /// Whose it would be.
        name: String,
        /// What is wrong with it.
        cause: io::Error,
    },
    /// Who connects there would wait for ever.
    #[error(
        "no service of this process takes the socket `{name}` that was handed over (LISTEN_FDNAMES): expected {expected}"
    )]
    Unknown {
        /// Whose it would be.
        name: String,
        /// What would be taken.
        expected: String,
    },
    /// As with `KEELSON_HOST`, that has to be meant.
    #[error(
        "the socket `{name}` that was handed over listens on {address}, which other machines reach, and KEELSON_HOST={host} is this one: expected KEELSON_HOST={}, or a socket of this machine", address.ip()
    )]
    Exposed {
        /// Whose it is.
        name: String,
        /// Where it listens.
        address: SocketAddr,
        /// Where the process may.
        host: IpAddr,
    },
}

/// What was handed over. Nothing is looked at before a service asks for its socket.
#[derive(Debug, Default)]
pub struct InheritedSockets {
    names: Option<String>,
    sockets: Vec<io::Result<TcpListener>>,
}

impl InheritedSockets {
    /// Nothing was.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes what the environment names and removes it there, so that no further process takes it for its own. To be
    /// called while the process has one thread: others may be reading the environment.
    #[must_use]
    pub fn from_environment() -> Self {
        let names = names_of_sockets();
        let mut found = ListenFd::from_env();
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let sockets = (0..found.len()).map(|index| found.take_tcp_listener(index)?.ok_or_else(missing)).collect();
        Self { names, sockets }
    }

    /// Each by its name, with proof that it is one.
    pub(crate) fn named(self) -> Result<NamedSockets, InheritError> {
        let mut named = NamedSockets::default();
        if self.sockets.is_empty() {
            return Ok(named);
        }
        let text = self.names.unwrap_or_default();
        let names: Vec<&str> = text.split(':').collect();
        if names.len() != self.sockets.len() || names.contains(&"") {
            return Err(InheritError::Names { sockets: self.sockets.len(), names: text });
        }
        for (name, socket) in names.into_iter().zip(self.sockets) {
            let name = name.to_owned();
            let socket = socket.and_then(listening);
            match (named.0.entry(name), socket) {
                (Entry::Occupied(entry), _) => return Err(InheritError::Twice(entry.key().clone())),
                (Entry::Vacant(entry), Err(cause)) => {
                    return Err(InheritError::NotListening { name: entry.into_key(), cause });
                }
                (Entry::Vacant(entry), Ok(socket)) => entry.insert(socket),
            };
        }
        Ok(named)
    }
}

fn listening(socket: TcpListener) -> io::Result<TcpListener> {
    if !is_listening(&socket)? {
        return Err(io::Error::other("nobody has called listen(2) on it"));
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn is_listening(socket: &TcpListener) -> io::Result<bool> {
    socket2::SockRef::from(socket).is_listener()
}

/// Not to be asked on this system; the first accept tells.
#[cfg(not(target_os = "linux"))]
fn is_listening(_socket: &TcpListener) -> io::Result<bool> {
    Ok(true)
}

/// Sockets that no service has taken yet.
#[derive(Debug, Default)]
pub(crate) struct NamedSockets(BTreeMap<String, TcpListener>);

impl NamedSockets {
    /// The socket of this name, if there is one. A process that stays on this machine (`host`) takes none that others
    /// reach.
    pub(crate) fn take(&mut self, name: &str, host: IpAddr) -> Result<Option<Listener>, super::BindError> {
        let Some(socket) = self.0.remove(name) else { return Ok(None) };
        let failed = |cause| InheritError::NotListening { name: name.to_owned(), cause };
        let address = socket.local_addr().map_err(failed)?;
        if host.is_loopback() && !address.ip().to_canonical().is_loopback() {
            return Err(InheritError::Exposed { name: name.to_owned(), address, host }.into());
        }
        let socket = tokio::net::TcpListener::from_std(socket).map_err(failed)?;
        Ok(Some(Listener { socket, is_shared: true }))
    }

    /// Refuses those that nobody took.
    pub(crate) fn finish(self, expected: &[String]) -> Result<(), super::BindError> {
        match self.0.into_keys().next() {
            Some(name) => Err(InheritError::Unknown { name, expected: expected.join(", ") }.into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn bound() -> io::Result<TcpListener> {
        TcpListener::bind("127.0.0.1:0")
    }

    fn handed(names: &str, sockets: Vec<io::Result<TcpListener>>) -> InheritedSockets {
        InheritedSockets { names: (!names.is_empty()).then(|| names.to_owned()), sockets }
    }

    fn refused(names: &str, sockets: Vec<io::Result<TcpListener>>) -> String {
        handed(names, sockets).named().unwrap_err().to_string()
    }

    #[tokio::test]
    async fn each_service_takes_the_socket_of_its_name_once() {
        let (first, second) = (bound().unwrap(), bound().unwrap());
        let address = second.local_addr().unwrap();
        let mut sockets = handed("users:orders", vec![Ok(first), Ok(second)]).named().unwrap();
        let taken = sockets.take("orders", HERE).unwrap().unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        assert!(taken.is_shared);
        assert!(sockets.take("orders", HERE).unwrap().is_none());
        let left = sockets.finish(&["orders".into(), "orders-internal".into()]).unwrap_err().to_string();
        assert!(left.contains("`users`") && left.contains("expected orders, orders-internal"), "{left}");
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        assert!(handed("users", vec![]).named().unwrap().0.is_empty(), "names without sockets are nobody's");
        for (names, sockets) in
            [("", vec![bound()]), ("users", vec![bound(), bound()]), ("users:", vec![bound(), bound()])]
        {
            let text = refused(names, sockets);
            assert!(
                text.contains(&format!("LISTEN_FDNAMES={names}:")) && text.contains("FileDescriptorName"),
                "{text}"
            );
        }
        assert!(refused("users:users", vec![bound(), bound()]).contains("`users` twice"));
    }

    #[test]
    fn what_does_not_listen_is_refused() {
        let text = refused("users", vec![Err(io::Error::other("fd 3 is not a socket"))]);
        assert!(text.contains("`users`") && text.contains("fd 3 is not a socket"), "{text}");
        let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        silent.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let text = refused("users", vec![Ok(silent.into())]);
        assert!(text.contains("listen(2)") && text.contains("ListenStream"), "{text}");
    }

    #[tokio::test]
    async fn a_socket_that_others_reach_has_to_be_meant() {
        let open = || handed("users", vec![TcpListener::bind("0.0.0.0:0")]).named().unwrap();
        let text = open().take("users", HERE).unwrap_err().to_string();
        assert!(text.contains("`users`") && text.contains("KEELSON_HOST=127.0.0.1"), "{text}");
        assert!(open().take("users", Ipv4Addr::UNSPECIFIED.into()).unwrap().is_some());
    }
}
