//! Where a service is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use reqwest::Url;
use thiserror::Error;

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
