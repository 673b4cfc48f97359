//! Who asks: the peer's address, or the one that a trusted proxy names.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;

/// Whether a request comes through a trusted proxy (`TRUSTED_PROXIES`), so that its `X-Forwarded-…` headers say what is
/// true. For who passes requests on: from anybody else they are invented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThroughProxy(pub bool);

impl<S: Send + Sync> FromRequestParts<S> for ThroughProxy {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // The edge says so alone where it is so: where nobody is trusted, requests carry nothing.
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(false)))
    }
}

/// Whether an address is that of a trusted proxy.
pub(super) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// The client's address: the peer's, or, when the peer is a trusted proxy, the last address in `X-Forwarded-For`
/// that is not itself a trusted proxy. What stands left of it may be invented by the client.
pub(super) fn client_address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.ip().to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let mut client = peer;
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        for part in value.to_str().unwrap_or_default().rsplit(',') {
            let Ok(address) = part.trim().trim_matches(['[', ']']).parse::<IpAddr>() else {
                return client;
            };
            client = address.to_canonical();
            if !is_trusted(client, trusted) {
                return client;
            }
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client_address(peer, &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.2"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["forged, nonsense"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &["2001:db8::1"], &["10.0.0.0/8"]), "2001:db8::1");
    }
}
