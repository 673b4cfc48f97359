//! The settings that every service has.

mod consumers;
mod encryption;
mod http;
mod identities;
mod logs;
mod tls;
mod tokens;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::auth::AllowedIdentities;

use super::{Layers, Mistakes, OptionalSetting, Port, Reader, Section, Setting};

pub use self::consumers::ConsumerServices;
pub use self::consumers::{ConsumerService, PeerEncryption};
pub use self::encryption::EncryptionConfig;
pub use self::http::{ConnectionConfig, HttpConfig};
pub use self::identities::SERVICE_IDENTITIES;
pub use self::logs::LogConfig;
pub use self::tls::{ClientAuth, TlsConfig, TlsFiles};
pub use self::tokens::{JWT_PREVIOUS_SECRET_KEY, JWT_SECRET_KEY, TokenConfig};

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
    "The port of a second listener for `/metrics`, `/status`, `/services`, `/ops` and health; the public port then answers 404 for the first four. Several services in one process count up from it. Default: off, 9090 in production.",
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
/// Other services.
pub const CONSUMER_SERVICES: Setting<ConsumerServices> = Setting::new(
    "CONSUMER_SERVICES",
    "[]",
    "Other services: a JSON array of `{name, endpoint, port, timeout?, scheme?, encryption?}`, where `timeout` is in seconds. The same name several times is several replicas, and so is an endpoint whose name has several addresses; calls are balanced between them. An endpoint that begins with `_`, such as `_users._tcp.internal`, is the name of a DNS service record and has no `port`. In the configuration file it may change while the service runs. Each can be called by name (`POST /call/{service_name}`) and may then take `timeout`, 30 by default, within `REQUEST_TIMEOUT`; what a service asks `user-service` and `analytics-service` of its own accord has shorter limits. `encryption` is the form in which the service wants its requests: `v2`, `none`, or for old peers `fernet` or `gcm`; by default what `ENCRYPT_CALLS` says for services of this system, and none for others. `USER_SERVICE_URL` and `ANALYTICS_SERVICE_URL` win over the places of those two.",
);
/// What is left of the grace after the drain delay, for requests to be finished and clients to be told.
const LEAST_TO_FINISH: Duration = Duration::from_secs(1);
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
    http::SECTION,
    tls::SECTION,
    identities::SECTION,
    tokens::SECTION,
    encryption::SECTION,
    logs::SECTION,
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
    /// What listeners and calls of other services prove themselves with.
    pub tls: TlsConfig,
    /// `SERVICE_IDENTITIES`.
    pub identities: AllowedIdentities,
    /// What signs the tokens of users.
    pub tokens: TokenConfig,
    /// Who has to encrypt.
    pub encryption: EncryptionConfig,
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
            internal_port: internal_port(reader, production),
            lifetimes: Lifetimes {
                drain_delay: reader
                    .get_optional(&DRAIN_DELAY)
                    .unwrap_or(Duration::from_secs(5 * u64::from(production))),
                shutdown_grace: reader.get(&SHUTDOWN_GRACE),
            },
            consumer_services: reader.get(&CONSUMER_SERVICES).0,
            http: HttpConfig::read(reader),
            tls: TlsConfig::read(reader),
            identities: identities::read(reader),
            tokens: TokenConfig::read(reader),
            encryption: EncryptionConfig::read(reader, production),
            logs: LogConfig::read(reader),
        };
        config.validate(reader, services);
        config
    }

    /// The services that `CONSUMER_SERVICES` names, without a look at the other settings.
    ///
    /// # Errors
    /// It is wrong.
    pub fn consumer_services(layers: &Layers) -> Result<Vec<ConsumerService>, Mistakes> {
        let mut reader = Reader::new(layers);
        let services = reader.get(&CONSUMER_SERVICES).0;
        reader.finish(services)
    }

    /// `INTERNAL_PORT`, or what it is by default, without a look at the other settings.
    ///
    /// # Errors
    /// It is wrong, or `PRODUCTION` is.
    pub fn internal_port(layers: &Layers) -> Result<Option<u16>, Mistakes> {
        let mut reader = Reader::new(layers);
        let production = reader.get(&PRODUCTION);
        let port = internal_port(&mut reader, production);
        reader.finish(port)
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

fn internal_port(reader: &mut Reader<'_>, production: bool) -> Option<u16> {
    reader.get_optional(&INTERNAL_PORT).map(|port| port.0).or(production.then_some(9090))
}
