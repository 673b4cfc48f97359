//! What the HTTP edge lets in.

use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;

use super::super::{CommaList, Reader, Section, Setting};

const IDEMPOTENCY_TTL: Setting<Duration> = Setting::new(
    "IDEMPOTENCY_TTL",
    "24h",
    "How long the answer to a request with an `Idempotency-Key` is kept, at least 1m: until then the same request gets the same answer and is not done again.",
);
const RATE_LIMIT: Setting<u32> = Setting::new(
    "RATE_LIMIT",
    "100",
    "Requests per minute for each client, which is the subject of its token, else its address; 0 is off. More is answered 429. Health and metrics do not count. Clients on the same machine are limited only when this is set.",
);
const CORS_ORIGINS: Setting<CommaList<String>> = Setting::new(
    "CORS_ORIGINS",
    "",
    "Origins of web pages that may call, separated by commas, such as `https://app.example.com`. `*` is not one.",
);
const TRUSTED_PROXIES: Setting<CommaList<IpNet>> = Setting::new(
    "TRUSTED_PROXIES",
    "",
    "Addresses or networks of proxies whose `X-Forwarded-For` is believed, separated by commas, such as `10.0.0.0/8`.",
);
const MAX_BODY_BYTES: Setting<usize> = Setting::new(
    "MAX_BODY_BYTES",
    "2097152",
    "The largest request body in bytes; a larger one is answered 413. All bodies together take the memory of 64 such. The queue takes at most 1 MiB for a message, whatever stands here.",
);
const MAX_REQUESTS: Setting<usize> = Setting::new(
    "MAX_REQUESTS",
    "512",
    "Requests that each service works on at once; a request whose body is still arriving is not one of them. As many again wait, for a second at most; more are answered 503 at once. Health and metrics are never refused.",
);
const HTTP2: Setting<bool> = Setting::new(
    "HTTP2",
    "false",
    "Speaks HTTP/2 beside HTTP/1.1 to clients that begin with it (prior knowledge, RFC 9113 section 3.3), such as a load balancer with an HTTP/2 target group. Without TLS there is nothing else to agree on it by; over TLS it is agreed on by ALPN.",
);
const MAX_CONNECTIONS: Setting<usize> = Setting::new(
    "MAX_CONNECTIONS",
    "8192",
    "Connections that are open at once on each port; the next ones wait to be accepted. Less where the system lets the process open fewer files, which a log line at start says.",
);
const MAX_CONNECTIONS_PER_CLIENT: Setting<usize> = Setting::new(
    "MAX_CONNECTIONS_PER_CLIENT",
    "1024",
    "The same for each client address; more are closed at once. `TRUSTED_PROXIES` are free of it, and so are clients on the same machine unless this is set.",
);
const REQUEST_TIMEOUT: Setting<Duration> = Setting::new(
    "REQUEST_TIMEOUT",
    "30s",
    "How long one request may take, before it is answered 503, or 408 when its body is not there by then. A body of which nothing arrives for 10 s is given up before that.",
);
const DOCS: Setting<bool> = Setting::new("DOCS", "true", "Serves `/docs` and `/openapi.json`; false answers 404.");
const ENABLE_METRICS: Setting<bool> = Setting::new("ENABLE_METRICS", "true", "Serves `/metrics`; false answers 404.");

/// Less would answer every request 503.
const SHORTEST_REQUEST_TIMEOUT: Duration = Duration::from_millis(100);
/// More of anything than one process can have.
const LARGEST_COUNT: usize = 1 << 30;

pub(super) const SECTION: Section = Section {
    title: "HTTP",
    settings: &[
        RATE_LIMIT.info,
        IDEMPOTENCY_TTL.info,
        CORS_ORIGINS.info,
        TRUSTED_PROXIES.info,
        MAX_BODY_BYTES.info,
        REQUEST_TIMEOUT.info,
        MAX_REQUESTS.info,
        HTTP2.info,
        MAX_CONNECTIONS.info,
        MAX_CONNECTIONS_PER_CLIENT.info,
        DOCS.info,
        ENABLE_METRICS.info,
    ],
};

/// What the edge lets in.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `IDEMPOTENCY_TTL`.
    pub idempotency_lifetime: Duration,
    /// `RATE_LIMIT`; `None` is off.
    pub rate_limit: Option<NonZeroU32>,
    /// Nobody set `RATE_LIMIT`, so loopback clients are free of it.
    pub spare_loopback: bool,
    /// `CORS_ORIGINS`.
    pub cors_origins: Vec<String>,
    /// `TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// `MAX_BODY_BYTES`.
    pub max_body_bytes: usize,
    /// `REQUEST_TIMEOUT`.
    pub request_timeout: Duration,
    /// `MAX_REQUESTS`.
    pub max_requests: usize,
    /// What the listeners let in.
    pub connections: ConnectionConfig,
    /// `DOCS`.
    pub docs: bool,
    /// `ENABLE_METRICS`.
    pub metrics: bool,
}

/// What the listeners let in.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionConfig {
    /// `MAX_CONNECTIONS`.
    pub max: usize,
    /// `MAX_CONNECTIONS_PER_CLIENT`.
    pub max_per_client: usize,
    /// `HTTP2`.
    pub http2: bool,
    /// Nobody set `MAX_CONNECTIONS_PER_CLIENT`, so loopback clients are free of it.
    pub spare_loopback: bool,
}

impl HttpConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let config = Self {
            idempotency_lifetime: reader.get(&IDEMPOTENCY_TTL),
            rate_limit: NonZeroU32::new(reader.get(&RATE_LIMIT)),
            spare_loopback: !reader.is_set(&RATE_LIMIT.info),
            cors_origins: reader.get(&CORS_ORIGINS).0,
            trusted_proxies: reader.get(&TRUSTED_PROXIES).0,
            max_body_bytes: reader.get(&MAX_BODY_BYTES),
            request_timeout: reader.get(&REQUEST_TIMEOUT),
            max_requests: reader.get(&MAX_REQUESTS),
            connections: ConnectionConfig {
                max: reader.get(&MAX_CONNECTIONS),
                http2: reader.get(&HTTP2),
                max_per_client: reader.get(&MAX_CONNECTIONS_PER_CLIENT),
                spare_loopback: !reader.is_set(&MAX_CONNECTIONS_PER_CLIENT.info),
            },
            docs: reader.get(&DOCS),
            metrics: reader.get(&ENABLE_METRICS),
        };
        if config.idempotency_lifetime < Duration::from_secs(60) {
            reader.refuse(&IDEMPOTENCY_TTL.info, "at least 1m: whoever lost an answer must have time to ask again");
        }
        if config.request_timeout < SHORTEST_REQUEST_TIMEOUT {
            reader.refuse(&REQUEST_TIMEOUT.info, "at least 100ms");
        }
        let counts = [
            (&MAX_BODY_BYTES, config.max_body_bytes),
            (&MAX_REQUESTS, config.max_requests),
            (&MAX_CONNECTIONS, config.connections.max),
            (&MAX_CONNECTIONS_PER_CLIENT, config.connections.max_per_client),
        ];
        for (setting, _) in counts.iter().filter(|(_, count)| !(1..=LARGEST_COUNT).contains(count)) {
            reader.refuse(&setting.info, "a number from 1 to 1073741824");
        }
        if !config.cors_origins.iter().all(|origin| is_origin(origin)) {
            reader.refuse(
                &CORS_ORIGINS.info,
                "origins such as `https://app.example.com`, without a path; `*` is not one",
            );
        }
        config
    }
}

/// A scheme and a host, perhaps a port, as browsers write them: nothing else would ever match.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let is_plain =
        !authority.host().is_empty() && !authority.as_str().contains('@') && !authority.as_str().ends_with(':');
    !scheme.is_empty() && is_plain && text == format!("{scheme}://{authority}").to_ascii_lowercase()
}
