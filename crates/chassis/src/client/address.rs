//! Where a service is.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;
use url::{Host, Url};

use crate::config::FromText;

/// The address of a service, `http://HOST[:PORT][/BASE]` or the same with `https`.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

/// Why a text is no such address. Holds nothing of the text but its scheme, since the rest may have a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("found {found}, expected {}", ServiceUrls::EXPECTED)]
pub struct NoServiceUrl {
    found: String,
}

impl ServiceUrl {
    /// Whether calls go over TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address itself, whose path has no slash at its end, unless it is all of the path.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    /// The path that all paths of the service are below, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Host and port as a request names them.
    pub(super) fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Where it is, if no name has to be looked up for that.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some((ip, self.port()).into()),
            Host::Ipv6(ip) => Some((ip, self.port()).into()),
        }
    }

    /// The host: a name, or an address, which of IPv6 has no brackets here.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The port, which the scheme says where the address does not.
    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }
}

impl FromStr for ServiceUrl {
    type Err = NoServiceUrl;

    fn from_str(text: &str) -> Result<Self, NoServiceUrl> {
        let no = |found: &str| Err(NoServiceUrl { found: found.to_owned() });
        if !text.contains("://") {
            return no("no scheme");
        }
        let Ok(mut url) = text.parse::<Url>() else { return no("no URL") };
        match url.scheme() {
            "http" | "https" => {}
            other => return no(&format!("the scheme `{other}`")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return no("a user or a password");
        }
        if url.scheme() == "https" && url.host_str().is_some_and(|host| host.starts_with('_')) {
            return no("a service record for `https`, for which there are no certificates");
        }
        if url.port() == Some(0) {
            return no("the port 0");
        }
        if url.query().is_some() {
            return no("a query");
        }
        if url.fragment().is_some() {
            return no("a fragment");
        }
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&base);
        Ok(Self(url))
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a service is: an address for each of its replicas.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrls(Arc<[ServiceUrl]>);

impl ServiceUrls {
    /// Each of them; there is at least one.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ServiceUrl> {
        self.0.iter()
    }

    /// The one that was named first.
    pub(crate) fn first(&self) -> Option<&ServiceUrl> {
        self.0.first()
    }
}

impl FromStr for ServiceUrls {
    type Err = NoServiceUrl;

    /// One address, or several with commas between them.
    fn from_str(text: &str) -> Result<Self, NoServiceUrl> {
        text.split(',').map(|url| url.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromText for ServiceUrls {
    const EXPECTED: &'static str = "the address of a service as `http://HOST[:PORT][/BASE]`, or with `https`, without user, password, query and fragment; several with commas between them";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl fmt::Display for ServiceUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

impl fmt::Debug for ServiceUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_may_have_a_port_and_a_base() {
        for (text, shown) in [
            ("http://users", "http://users"),
            ("http://users:8002/", "http://users:8002"),
            ("HTTPS://Users.internal:443/base/", "https://users.internal/base"),
            ("http://[::1]:8002/a/b", "http://[::1]:8002/a/b"),
        ] {
            assert_eq!(text.parse::<ServiceUrl>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn host_and_port_are_told_apart() {
        for (text, host, port) in [
            ("http://users", "users", 80),
            ("https://users/base", "users", 443),
            ("http://10.0.0.7:8002", "10.0.0.7", 8002),
            ("http://[::1]:8002/a", "::1", 8002),
        ] {
            let url: ServiceUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
        }
    }

    #[test]
    fn a_service_is_in_one_place_or_in_several() {
        let urls: ServiceUrls = "http://one:8002, http://two:8002/".parse().unwrap();
        assert_eq!((urls.iter().count(), urls.to_string().as_str()), (2, "http://one:8002,http://two:8002"));
        for text in ["", ",", "http://one,", "http://one,two"] {
            assert!(text.parse::<ServiceUrls>().is_err(), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_was_found_and_without_a_password() {
        for (text, found) in [
            ("users:8002", "found no scheme"),
            ("ann:secret@users:8002", "found no scheme"),
            ("http://", "found no URL"),
            ("http://users:port", "found no URL"),
            ("postgres://users", "found the scheme `postgres`"),
            ("http://ann:secret@users", "found a user or a password"),
            ("http://ann@users", "found a user or a password"),
            ("http://:secret@users", "found a user or a password"),
            ("http://users:0", "found the port 0"),
            ("http://users/?page=1", "found a query"),
            ("http://users/#top", "found a fragment"),
        ] {
            let message = text.parse::<ServiceUrl>().unwrap_err().to_string();
            assert!(message.starts_with(found), "{text}: {message}");
            assert!(message.contains("expected the address of a service as `http://HOST[:PORT]"), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
