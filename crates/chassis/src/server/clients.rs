//! How many connections each client has, so that one of them cannot have them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::http::network_of;

/// Counts the open connections of each address, or of each /64 of IPv6. Never more entries than open connections.
#[derive(Debug)]
pub(super) struct Clients {
    limit: usize,
    spare_loopback: bool,
    trusted: Vec<IpNet>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Clients {
    pub(super) fn new(limit: usize, spare_loopback: bool, trusted: Vec<IpNet>) -> Self {
        Self { limit, spare_loopback, trusted, open: Mutex::default() }
    }

    /// Counts one more connection until it is dropped; `None` when this client has as many as it may.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<ClientPlace> {
        let address = client.to_canonical();
        let is_free =
            self.spare_loopback && address.is_loopback() || self.trusted.iter().any(|it| it.contains(&address));
        if is_free {
            return Some(ClientPlace { counted: None });
        }
        let network = network_of(address);
        let mut open = self.open();
        let count = open.entry(network).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(ClientPlace { counted: Some((Arc::clone(self), network)) })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One counted connection.
#[derive(Debug)]
pub(super) struct ClientPlace {
    counted: Option<(Arc<Clients>, IpAddr)>,
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        let Some((clients, network)) = &self.counted else { return };
        let mut open = clients.open();
        if let Some(count) = open.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                open.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_no_more_connections_than_it_may_and_others_have_theirs() {
        let clients = Arc::new(Clients::new(1, true, vec!["10.0.0.0/8".parse().unwrap()]));
        let first = clients.admit(address("203.0.113.1"));
        assert!(first.is_some());
        assert!(clients.admit(address("203.0.113.1")).is_none());
        assert!(clients.admit(address("203.0.113.2")).is_some());
        drop(first);
        assert!(clients.admit(address("203.0.113.1")).is_some());
        assert!(clients.open().is_empty(), "addresses without connections are forgotten");
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let clients = Arc::new(Clients::new(1, true, Vec::new()));
        let _first = clients.admit(address("2001:db8::1"));
        assert!(clients.admit(address("2001:db8::2")).is_none());
        assert!(clients.admit(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn proxies_and_this_machine_are_free() {
        let clients = Arc::new(Clients::new(1, true, vec!["10.0.0.0/8".parse().unwrap()]));
        for free in ["10.1.2.3", "127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let both = (clients.admit(address(free)), clients.admit(address(free)));
            assert!(both.0.is_some() && both.1.is_some(), "{free}");
        }
        let strict = Arc::new(Clients::new(1, false, Vec::new()));
        let _first = strict.admit(address("127.0.0.1"));
        assert!(strict.admit(address("127.0.0.1")).is_none());
    }
}
