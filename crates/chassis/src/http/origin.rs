//! Which web pages may call: CORS for the origins that are named, and in development the rules that keep any other
//! page from driving a developer's machine (DNS rebinding by `Host`, form posts by `Origin`).

use std::net::IpAddr;

use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use crate::error::{Error, Kind};

/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, x-access-token, x-correlation-id, x-encrypt-response, x-encrypted-payload, x-encryption-key-id, x-encryption-service, x-encryption-time, x-request-id, x-service-communication, x-service-name, x-target-service",
);
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, retry-after, x-correlation-id, x-encrypted-payload, x-encryption-key-id, x-encryption-service, x-encryption-time, x-service-communication, x-service-name, x-target-service, x-total-count",
);

/// The rules of one service.
#[derive(Debug, Clone)]
pub(super) struct OriginRules {
    allowed: Vec<HeaderValue>,
    development: Option<DevelopmentHosts>,
}

/// Which `Host` names are this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DevelopmentHosts {
    /// Bound to a loopback address: its names alone.
    Loopback,
    /// Bound to more: also addresses and names that no public zone can answer for.
    Network,
}

impl OriginRules {
    /// The rules for these origins; `production` leaves `Host` and unknown origins alone.
    pub(super) fn new(origins: &[String], production: bool, host: IpAddr) -> Self {
        let development = if host.is_loopback() { DevelopmentHosts::Loopback } else { DevelopmentHosts::Network };
        Self {
            allowed: origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect(),
            development: (!production).then_some(development),
        }
    }

    /// Refuses what a foreign web page sends to a developer's machine.
    pub(super) fn admit<B>(&self, request: &http::Request<B>) -> Result<(), Error> {
        let Some(hosts) = self.development else { return Ok(()) };
        let host = host_of(request);
        if let Some(host) = host
            && !hosts.contains(host)
        {
            return Err(Error::new(
                Kind::Forbidden,
                "Host not allowed in development: use localhost, or set PRODUCTION=true",
            ));
        }
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
        let same = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host) == host;
        if request.method().is_safe() || same || self.allowed.contains(origin) {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, "Origin not allowed: name it in CORS_ORIGINS"))
    }

    /// The answer to a preflight of an allowed origin; `None` for any other request.
    pub(super) fn answer_preflight<B>(&self, request: &http::Request<B>) -> Option<Response> {
        let asks = *request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && self.allowed_origin(request.headers()).is_some();
        if !asks {
            return None;
        }
        let answers = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE),
        ];
        Some((StatusCode::NO_CONTENT, answers).into_response())
    }

    /// The origin of the request, when it is allowed.
    pub(super) fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.allowed.contains(origin).then(|| origin.clone())
    }

    /// Writes the CORS headers of any answer. `origin` is the allowed one, if any.
    pub(super) fn write(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.allowed.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }
}

fn host_of<B>(request: &http::Request<B>) -> Option<&str> {
    // An absolute URI wins over the header (RFC 9112, section 3.2.2).
    let named = || request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or("?"));
    request.uri().authority().map(http::uri::Authority::as_str).or_else(named)
}

impl DevelopmentHosts {
    fn contains(self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        if name == "localhost" || name.ends_with(".localhost") || address.is_some_and(|it| it.is_loopback()) {
            return true;
        }
        // A page can make a public name point here (DNS rebinding), but no address and no name without a dot.
        let cannot_be_rebound = address.is_some() || name == "host.docker.internal" || !name.contains('.');
        self == Self::Network && cannot_be_rebound
    }
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(rules: &OriginRules, method: &str, host: &str, origin: Option<&str>) -> bool {
        let mut request = http::Request::builder().method(method).uri("/").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        rules.admit(&request.body(()).unwrap()).is_ok()
    }

    #[test]
    fn development_knows_its_own_hosts() {
        let loopback = OriginRules::new(&[], false, "127.0.0.1".parse().unwrap());
        for own in ["localhost:8080", "127.0.0.1", "[::1]:8080", "app.localhost", "LOCALHOST"] {
            assert!(admitted(&loopback, "GET", own, None), "{own} was refused");
        }
        for foreign in ["evil.example", "localhost.evil.example", "10.0.0.1", "ingest", "127.0.0.1.evil.example:80", ""]
        {
            assert!(!admitted(&loopback, "GET", foreign, None), "{foreign} was admitted");
        }
        let network = OriginRules::new(&[], false, "0.0.0.0".parse().unwrap());
        for own in ["10.0.0.1:8080", "user-service:8000", "host.docker.internal:8000", "localhost"] {
            assert!(admitted(&network, "GET", own, None), "{own} was refused");
        }
        assert!(!admitted(&network, "GET", "evil.example", None));
    }

    #[test]
    fn development_refuses_foreign_origins_on_unsafe_methods_only() {
        let rules = OriginRules::new(&["https://app.example.com".into()], false, "127.0.0.1".parse().unwrap());
        assert!(!admitted(&rules, "POST", "localhost:8080", Some("https://evil.example")));
        assert!(!admitted(&rules, "POST", "localhost:8080", Some("null")));
        assert!(admitted(&rules, "GET", "localhost:8080", Some("https://evil.example")));
        assert!(admitted(&rules, "POST", "localhost:8080", Some("https://app.example.com")));
        assert!(admitted(&rules, "POST", "localhost:8080", Some("http://localhost:8080")), "our own /docs page");
    }

    #[test]
    fn production_leaves_hosts_to_the_load_balancer() {
        let rules = OriginRules::new(&[], true, "0.0.0.0".parse().unwrap());
        assert!(admitted(&rules, "POST", "api.example.com", Some("https://evil.example")));
    }
}
