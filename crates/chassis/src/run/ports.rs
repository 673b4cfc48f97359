//! The ports of each service: bound here, or handed over by another process.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::RunError;
use crate::config::ChassisConfig;
use crate::server::{self, BindError, InheritedSockets, Listener, NamedSockets};

/// Where a service wants to listen.
#[derive(Debug, Clone, Copy)]
pub struct WantedPort {
    /// Its short name, which is also the name of a socket that is handed over for it.
    pub service: &'static str,
    /// 0 takes any free one.
    pub port: u16,
    /// What changes it, for error messages.
    pub variable: &'static str,
}

impl WantedPort {
    /// The name of a socket that is handed over for operators.
    fn internal(&self) -> String {
        format!("{}-internal", self.service)
    }
}

/// The ports of one service. Who connects now waits until it serves.
#[derive(Debug)]
pub struct Ports {
    wanted: WantedPort,
    pub(super) public: Listener,
    pub(super) internal: Option<Listener>,
    pub(super) address: SocketAddr,
}

impl Ports {
    /// Where callers find the service, such as other services of the process.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sockets, for another process to serve, each with the name by which it takes it.
    ///
    /// # Errors
    /// The system does not let go of them.
    pub fn into_sockets(self) -> io::Result<Vec<(String, OwnedFd)>> {
        let public = [(self.wanted.service.to_owned(), self.public)];
        let internal = self.internal.map(|listener| (self.wanted.internal(), listener));
        let sockets = public.into_iter().chain(internal);
        sockets.map(|(name, listener)| Ok((name, listener.socket.into_std()?.into()))).collect()
    }
}

/// Takes the ports of every service: those that were handed over for it, and binds the others. Services are built
/// afterwards, so that they can know where the others are. Several with internal listeners count up from
/// `INTERNAL_PORT`.
///
/// # Errors
/// The first port that cannot be had, or a socket that is for none of the services.
pub fn take_ports(
    config: &ChassisConfig,
    wanted: &[WantedPort],
    inherited: InheritedSockets,
) -> Result<Vec<Ports>, RunError> {
    let mut inherited = inherited.named().map_err(BindError::from)?;
    let ports = (0_u16..).zip(wanted).map(|(index, port)| take_ports_of_one(config, (*port, index), &mut inherited));
    let ports = ports.collect::<Result<_, _>>()?;
    let has_internal = config.internal_port.is_some();
    let names = |port: &WantedPort| [Some(port.service.to_owned()), has_internal.then(|| port.internal())];
    inherited.finish(&wanted.iter().flat_map(names).flatten().collect::<Vec<_>>())?;
    Ok(ports)
}

fn take_ports_of_one(
    config: &ChassisConfig,
    (wanted, index): (WantedPort, u16),
    inherited: &mut NamedSockets,
) -> Result<Ports, RunError> {
    let mut take = |name: &str, port, variable| match inherited.take(name, config.host)? {
        Some(listener) => Ok(listener),
        None => server::bind(SocketAddr::new(config.host, port), variable),
    };
    let public = take(wanted.service, wanted.port, wanted.variable)?;
    let internal_port = config.internal_port.map(|port| if port == 0 { 0 } else { port.saturating_add(index) });
    let internal = internal_port.map(|port| take(&wanted.internal(), port, "INTERNAL_PORT")).transpose()?;
    let address = public.local_addr()?;
    Ok(Ports { wanted, public, internal, address })
}
