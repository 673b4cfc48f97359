//! The settings that every service has.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{CommaList, FromText, OptionalSetting, Port, Reader, Section, Setting};
use crate::telemetry::logs::{Level, valid_filter};

const SERVICE_NAME: OptionalSetting<String> = OptionalSetting::new(
    "SERVICE_NAME",
    "The name that others see, in answers, logs and metrics. Only when one service runs in the process. Default: the service's own, such as `ingest`.",
);
/// The port of a single service.
pub const SERVICE_PORT: OptionalSetting<Port> = OptionalSetting::new(
    "SERVICE_PORT",
    "The port to listen on. Only when one service runs in the process. Default: the service's own; 0 takes any free one. Also `--port`.",
);
const SERVICE_VERSION: OptionalSetting<String> =
    OptionalSetting::new("SERVICE_VERSION", "The version that answers and metrics report. Default: the build's.");
const HOST: OptionalSetting<IpAddr> = OptionalSetting::new(
    "KEELSON_HOST",
    "The address to listen on. Default: 127.0.0.1 for `up`, 0.0.0.0 for `serve`. Any but a loopback address needs `PRODUCTION` set. Also `--host`.",
);
const PRODUCTION: Setting<bool> = Setting::new(
    "PRODUCTION",
    "false",
    "True turns on JSON logs on standard output, the internal listener, the drain delay and the refusal of weak secrets. False keeps web pages away from a developer's machine: a `Host` that is not this machine is answered 403, and so is a `POST`, `PUT`, `PATCH` or `DELETE` with an `Origin` that is not in `CORS_ORIGINS`.",
);
const INTERNAL_PORT: OptionalSetting<Port> = OptionalSetting::new(
    "INTERNAL_PORT",
    "The port of a second listener for `/metrics`, `/status`, `/ops` and health; the public port then answers 404 for the first three. Several services in one process count up from it. Default: off, 9090 in production.",
);
const DRAIN_DELAY: OptionalSetting<Duration> = OptionalSetting::new(
    "DRAIN_DELAY",
    "How long to go on serving after SIGTERM, with readiness at 503. Make it longer than the load balancer takes to notice, and at least a second shorter than `SHUTDOWN_GRACE`. Default: 0, 5s in production.",
);
const SHUTDOWN_GRACE: Setting<Duration> = Setting::new(
    "SHUTDOWN_GRACE",
    "25s",
    "How long shutting down may take in all, the drain delay included; what is not finished then is cut off.",
);
const CONSUMER_SERVICES: Setting<ConsumerServices> = Setting::new(
    "CONSUMER_SERVICES",
    "[]",
    "Other services: a JSON array of `{name, endpoint, port, timeout?, scheme?}`, where `timeout` is in seconds. The same name several times is several endpoints. This build checks and shows them (`/status`) and does not call them yet.",
);
const RATE_LIMIT: Setting<u32> = Setting::new(
    "RATE_LIMIT",
    "100",
    "Requests per minute for each client address; 0 is off. More is answered 429. Health and metrics do not count. Clients on the same machine are limited only when this is set.",
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
    "Speaks HTTP/2 beside HTTP/1.1 to clients that begin with it (prior knowledge, RFC 9113 section 3.3), such as a load balancer with an HTTP/2 target group. Without TLS there is nothing else to agree on it by.",
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
const LOG_LEVEL: Setting<Level> = Setting::new(
    "LOG_LEVEL",
    "INFO",
    "The least severe level that our own crates log: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
);
const LOG_FILTER: Setting<String> = Setting::new(
    "LOG_FILTER",
    "warn",
    "The same for all other crates: a level, and exceptions after commas, such as `warn,hyper=debug`.",
);
const LOG_DIR: OptionalSetting<PathBuf> = OptionalSetting::new(
    "LOG_DIR",
    "A folder for log files beside the stream: `<service>.log` and `<service>_errors.log` as JSON lines, rotated at 10 MB, five kept.",
);

/// Less would answer every request 503.
const SHORTEST_REQUEST_TIMEOUT: Duration = Duration::from_millis(100);

/// What is left of the grace after the drain delay, for requests to be finished and clients to be told.
const LEAST_TO_FINISH: Duration = Duration::from_secs(1);
/// More of anything than one process can have.
const LARGEST_COUNT: usize = 1 << 30;

/// For the printed reference.
pub const SETTINGS: &[Section] = &[
    Section {
        title: "Every service",
        settings: &[
            super::names::CONFIG_FILE.info,
            PRODUCTION.info,
            SERVICE_NAME.info,
            SERVICE_PORT.info,
            SERVICE_VERSION.info,
            HOST.info,
            INTERNAL_PORT.info,
            DRAIN_DELAY.info,
            SHUTDOWN_GRACE.info,
            CONSUMER_SERVICES.info,
        ],
    },
    Section {
        title: "HTTP",
        settings: &[
            RATE_LIMIT.info,
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
    },
    Section { title: "Logs", settings: &[LOG_LEVEL.info, LOG_FILTER.info, LOG_DIR.info] },
];

/// What every service is configured with.
#[derive(Debug, Clone)]
pub struct ChassisConfig {
    /// `PRODUCTION`.
    pub production: bool,
    /// `SERVICE_NAME`.
    pub service_name: Option<String>,
    /// `SERVICE_PORT`.
    pub service_port: Option<u16>,
    /// `SERVICE_VERSION`.
    pub service_version: Option<String>,
    /// `KEELSON_HOST`.
    pub host: IpAddr,
    /// `INTERNAL_PORT`.
    pub internal_port: Option<u16>,
    /// `DRAIN_DELAY` and `SHUTDOWN_GRACE`.
    pub lifetimes: Lifetimes,
    /// `CONSUMER_SERVICES`.
    pub consumer_services: Vec<ConsumerService>,
    /// What the HTTP edge lets in.
    pub http: HttpConfig,
    /// Where logs go and which.
    pub logs: LogConfig,
}

/// How a process ends.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// `DRAIN_DELAY`.
    pub drain_delay: Duration,
    /// `SHUTDOWN_GRACE`.
    pub shutdown_grace: Duration,
}

/// What the edge lets in.
#[derive(Debug, Clone)]
pub struct HttpConfig {
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

/// Where logs go and which.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `LOG_LEVEL`.
    pub level: Level,
    /// `LOG_FILTER`.
    pub filter: String,
    /// `LOG_DIR`.
    pub dir: Option<PathBuf>,
}

/// A service that may be called, as `CONSUMER_SERVICES` names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsumerService {
    /// The name that others see.
    pub name: String,
    /// A host name or address.
    pub endpoint: String,
    /// The port.
    pub port: u16,
    /// Seconds that one call may take.
    #[serde(default = "default_call_timeout")]
    pub timeout: f64,
    /// `http` or `https`.
    #[serde(default = "default_scheme")]
    pub scheme: String,
}

fn default_call_timeout() -> f64 {
    30.0
}

fn default_scheme() -> String {
    "http".into()
}

impl ConsumerService {
    fn is_sound(&self) -> bool {
        let host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let named = |text: &str| !text.is_empty() && text.chars().all(host);
        named(&self.name)
            && named(&self.endpoint)
            && self.port != 0
            && self.timeout > 0.0
            && ["http", "https"].contains(&self.scheme.as_str())
    }
}

struct ConsumerServices(Vec<ConsumerService>);

impl FromText for ConsumerServices {
    const EXPECTED: &'static str = "a JSON array such as `[{\"name\":\"user-service\",\"endpoint\":\"users.internal\",\"port\":8002,\"timeout\":30}]`";

    fn from_text(text: &str) -> Option<Self> {
        let services: Vec<ConsumerService> = serde_json::from_str(text).ok()?;
        services.iter().all(ConsumerService::is_sound).then_some(Self(services))
    }
}

impl ChassisConfig {
    /// Reads the settings that every service has. `services` is how many run in this process; `default_host` where
    /// the command listens unless told otherwise.
    pub fn read(reader: &mut Reader<'_>, services: usize, default_host: Ipv4Addr) -> Self {
        let production = reader.get(&PRODUCTION);
        let config = Self {
            production,
            service_name: reader.get_optional(&SERVICE_NAME),
            service_port: reader.get_optional(&SERVICE_PORT).map(|port| port.0),
            service_version: reader.get_optional(&SERVICE_VERSION),
            host: reader.get_optional(&HOST).unwrap_or(default_host.into()),
            internal_port: reader.get_optional(&INTERNAL_PORT).map(|port| port.0).or(production.then_some(9090)),
            lifetimes: Lifetimes {
                drain_delay: reader
                    .get_optional(&DRAIN_DELAY)
                    .unwrap_or(Duration::from_secs(5 * u64::from(production))),
                shutdown_grace: reader.get(&SHUTDOWN_GRACE),
            },
            consumer_services: reader.get(&CONSUMER_SERVICES).0,
            http: HttpConfig::read(reader),
            logs: LogConfig::read(reader),
        };
        config.validate(reader, services);
        config
    }

    fn validate(&self, reader: &mut Reader<'_>, services: usize) {
        if services > 1 {
            if self.service_name.is_some() {
                reader.refuse(&SERVICE_NAME.info, "it unset: several services run in this process");
            }
            if self.service_port.is_some() {
                reader.refuse(
                    &SERVICE_PORT.info,
                    "it unset: several services run in this process; `INGEST_PORT` and its like set one each",
                );
            }
        }
        if !self.host.is_loopback() && !reader.is_set(&PRODUCTION.info) {
            let expected = format!("true or false: {} is reachable by other machines", self.host);
            reader.refuse(&PRODUCTION.info, &expected);
        }
        let services = u16::try_from(services).unwrap_or(u16::MAX);
        if self.internal_port.is_some_and(|port| port.checked_add(services.saturating_sub(1)).is_none()) {
            reader.refuse(&INTERNAL_PORT.info, "a port with one more above it for each further service");
        }
        if self.lifetimes.drain_delay + LEAST_TO_FINISH > self.lifetimes.shutdown_grace {
            let grace = self.lifetimes.shutdown_grace;
            let expected = format!("at least {LEAST_TO_FINISH:?} less than SHUTDOWN_GRACE ({grace:?}), to finish in");
            reader.refuse(&DRAIN_DELAY.info, &expected);
        }
    }
}

impl HttpConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let config = Self {
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

impl LogConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let config =
            Self { level: reader.get(&LOG_LEVEL), filter: reader.get(&LOG_FILTER), dir: reader.get_optional(&LOG_DIR) };
        if !valid_filter(&config.filter) {
            reader.refuse(&LOG_FILTER.info, "a level and exceptions, such as `warn,hyper=debug`");
        }
        config
    }
}

impl FromText for Level {
    const EXPECTED: &'static str = "one of DEBUG, INFO, WARNING, ERROR, CRITICAL";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
