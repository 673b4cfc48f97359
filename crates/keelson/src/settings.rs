//! The settings of a whole process: those of the chassis, of each service, and where the stores are.

mod aws;
mod database;
mod encryption;
mod identity;
mod mongo;
mod ports;
mod postgres;
mod server;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backends::ObjectPlace;
use backends::aws::identity::AllowedRoles;
use backends::aws::{Aws, Prices, S3Encryption};

use chassis::client::ServiceUrls;
pub(crate) use chassis::config::SERVICE_PORT;
use chassis::config::{
    self, ChassisConfig, ConsumerService, JWT_PREVIOUS_SECRET_KEY, JWT_SECRET_KEY, Layers, Mistakes, OptionalSetting,
    PeerEncryption, Reader, Section, Setting, SettingInfo, check_secret, names,
};
use chassis::run::WantedPort;
use pipeline::config::{ArchiverConfig, IngestConfig, RetentionConfig};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

pub(crate) use self::database::Database;
use self::database::{Asked, DATABASE_URL, EVENTS_URL, Servers};
pub(crate) use self::encryption::{Demands, KeySetting, KeySettings};
pub(crate) use self::identity::ShownIdentity;
use self::ports::Ports;
use crate::cli::{Common, ListenArgs, ServiceName};
use crate::commands::{dev, e2e};
use crate::wire::identity;

const DATA: Setting<PathBuf> = Setting::new(
    "KEELSON_DATA",
    "./keelson-data",
    "The data folder: embedded stores and generated secrets. One process owns it; others whose queue lies elsewhere may share \
     it. Also `--data`.",
);
const QUEUE_URL: OptionalSetting<String> = OptionalSetting::new(
    "QUEUE_URL",
    "The queue: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` which many processes may share (`postgres:` alone: see `POSTGRES_HOST`), `sqs:URL`, or `memory:` which forgets at the end. Default: `queue.db` in the data folder.",
);
pub(crate) const OBJECTS_URL: OptionalSetting<String> = OptionalSetting::new(
    "OBJECTS_URL",
    "The object store: `file:FOLDER`, `s3:BUCKET` or `s3://BUCKET/PREFIX`, or `memory:` which forgets at the end. Default: `objects` in the data folder.",
);
const USER_SERVICE_URL: OptionalSetting<ServiceUrls> = OptionalSetting::new(
    "USER_SERVICE_URL",
    "Where users is, such as `http://users.internal:8002`, or several places with commas between them. Orders asks it who is a user, analytics how many there are, and the gateway passes its requests on; a service without `JWT_SECRET_KEY` verifies tokens with the keys that users publishes there. Default: the `user-service` of `CONSUMER_SERVICES`, else the users of the same process.",
);
const ANALYTICS_SERVICE_URL: OptionalSetting<ServiceUrls> = OptionalSetting::new(
    "ANALYTICS_SERVICE_URL",
    "Where analytics is, such as `http://analytics.internal:8001`, or several places with commas between them. Users tells it of registrations, logins and deletions, orders of every change, each through an outbox in its database: while analytics is down they wait there. The gateway passes its requests on. Default: the `analytics-service` of `CONSUMER_SERVICES`, else the analytics of the same process; where there is none, nothing is recorded.",
);

const SYSTEM: Section = Section {
    title: "The system",
    settings: &[
        DATA.info,
        DATABASE_URL.info,
        EVENTS_URL.info,
        QUEUE_URL.info,
        OBJECTS_URL.info,
        ports::GATEWAY_PORT.info,
        ports::USERS_PORT.info,
        ports::ORDERS_PORT.info,
        ports::ANALYTICS_PORT.info,
        ports::INGEST_PORT.info,
        ports::ARCHIVER_PORT.info,
        USER_SERVICE_URL.info,
        ANALYTICS_SERVICE_URL.info,
    ],
};

/// Every section, in the order of the reference.
pub(crate) fn sections() -> Vec<Section> {
    let databases = [postgres::SECTION, mongo::SECTION];
    [
        &[SYSTEM],
        config::SETTINGS,
        &[encryption::SECTION],
        pipeline::config::SETTINGS,
        &databases,
        &[aws::SECTION, identity::SECTION, e2e::SETTINGS, dev::SETTINGS],
    ]
    .concat()
}

/// Every setting.
pub(crate) fn known() -> Vec<SettingInfo> {
    sections().iter().flat_map(|section| section.settings).copied().collect()
}

/// How the process was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything embedded, on a developer's machine unless told otherwise.
    Up,
    /// Chosen services.
    Serve,
}

/// What a process is configured with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) chassis: ChassisConfig,
    pub(crate) keys: KeySettings,
    pub(crate) data: PathBuf,
    pub(crate) queue: Database,
    /// Of users and orders.
    pub(crate) records: Database,
    pub(crate) events: Database,
    pub(crate) users_at: Option<ServiceUrls>,
    pub(crate) analytics_at: Option<ServiceUrls>,
    pub(crate) objects_url: String,
    pub(crate) ingest: IngestConfig,
    pub(crate) archiver: ArchiverConfig,
    pub(crate) aws: Arc<Aws>,
    pub(crate) s3_encryption: S3Encryption,
    pub(crate) aws_prices: Prices,
    pub(crate) shown_identity: ShownIdentity,
    pub(crate) allowed_roles: AllowedRoles,
    ports: Ports,
    /// As `/status` shows it.
    pub(crate) shown: Map<String, Value>,
}

impl Settings {
    /// Reads everything and finds every mistake.
    pub(crate) fn read(layers: &Layers, mode: Mode, services: &[ServiceName]) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(layers);
        let default_host = if mode == Mode::Up { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let data = reader.get(&DATA);
        let in_data = |scheme: &str, name: &str| format!("{scheme}:{}", data.join(name).display());
        let mut ingest = IngestConfig::read(&mut reader);
        ingest.api_token = aws::api_token(&mut reader, ingest.api_token);
        let queue_url = aws::queue_url(&mut reader).unwrap_or_else(|| in_data("sqlite", "queue.db"));
        let servers = Servers::read(&mut reader);
        let queue = servers.database(queue_url);
        let records = servers.records(&mut reader, in_data("sqlite", "keelson.db"));
        let events = servers.events(&mut reader, in_data("sqlite", "events.db"));
        let has = |service| services.contains(&service);
        let asked = Asked {
            queue: (&QUEUE_URL.info, &queue),
            records: services.iter().any(|service| service.keeps_records()).then_some(&records),
            events: has(ServiceName::Analytics).then_some(&events),
        };
        servers.refuse_differing(&mut reader, &asked);
        let chassis = ChassisConfig::read(&mut reader, services.len(), default_host);
        let consumed = |service| ConsumerService::place_of(identity(service).name, &chassis.consumer_services);
        let (users_at, analytics_at) = (consumed(ServiceName::Users), consumed(ServiceName::Analytics));
        let settings = Self {
            allowed_roles: identity::allowed_roles(&mut reader, &chassis.identities),
            keys: KeySettings::read(&mut reader, mode == Mode::Up, &chassis),
            chassis,
            queue,
            records,
            events,
            objects_url: aws::objects_url(&mut reader).unwrap_or_else(|| in_data("file", "objects")),
            ingest,
            users_at: reader.get_optional(&USER_SERVICE_URL).or(users_at),
            analytics_at: reader.get_optional(&ANALYTICS_SERVICE_URL).or(analytics_at),
            aws: aws::account(&mut reader),
            s3_encryption: aws::encryption(&mut reader),
            aws_prices: aws::prices(&mut reader),
            shown_identity: identity::shown(&mut reader),
            archiver: ArchiverConfig::read(&mut reader),
            ports: Ports::read(&mut reader),
            shown: shown(layers),
            data,
        };
        if services.contains(&ServiceName::Ingest) {
            settings.check_api_token(&mut reader, mode);
        }
        settings.check_token_keys(&mut reader, has(ServiceName::Users) && mode == Mode::Serve);
        settings.check_encryption_keys(&mut reader, services);
        if mode == Mode::Serve && !has(ServiceName::Users) {
            settings.check_users_elsewhere(&mut reader, has(ServiceName::Orders), has(ServiceName::Analytics));
        }
        if services.contains(&ServiceName::Archiver)
            && settings.archiver.retention.is_some()
            && let Some(expected) = no_retention(&settings.objects_url)
        {
            RetentionConfig::refuse(&mut reader, expected);
        }
        reader.finish(settings)
    }

    /// In production there are no default secrets, and no weak ones.
    fn check_api_token(&self, reader: &mut Reader<'_>, mode: Mode) {
        let Some(token) = &self.ingest.api_token else {
            if mode == Mode::Serve {
                let expected = "a token or a reference to one, such as `file:/run/secrets/api_token`";
                IngestConfig::refuse_api_token(reader, expected);
            }
            return;
        };
        let is_reference = crate::wire::secret_sources(&self.aws).reference(token).is_some();
        // Taken for the token itself, it would be one that everybody can guess.
        if token.expose_secret().starts_with("arn:") {
            IngestConfig::refuse_api_token(reader, "`ssm:` or `secretsmanager:` before the ARN");
        } else if self.chassis.production
            && !is_reference
            && let Some(expected) = check_secret(token)
        {
            IngestConfig::refuse_api_token(reader, &expected);
        }
    }

    /// The same for what signs the tokens of users.
    fn check_token_keys(&self, reader: &mut Reader<'_>, is_needed: bool) {
        let tokens = &self.chassis.tokens;
        if is_needed && tokens.key.is_none() {
            reader.refuse(
                &JWT_SECRET_KEY.info,
                "a secret, a private key in PEM, or a reference to one such as `file:/run/secrets/jwt`",
            );
        }
        let sources = crate::wire::secret_sources(&self.aws);
        for (setting, key) in [(&JWT_SECRET_KEY, &tokens.key), (&JWT_PREVIOUS_SECRET_KEY, &tokens.previous_key)] {
            // As with the API token: everybody could guess it.
            if key.as_ref().is_some_and(|key| key.expose_secret().starts_with("arn:")) {
                reader.refuse(&setting.info, "`ssm:` or `secretsmanager:` before the ARN");
            }
            if self.chassis.production
                && let Some(key) = key.as_ref().filter(|key| sources.reference(key).is_none())
                && let Some(expected) = check_secret(key)
            {
                reader.refuse(&setting.info, &expected);
            }
        }
    }

    fn check_encryption_keys(&self, reader: &mut Reader<'_>, services: &[ServiceName]) {
        let sources = crate::wire::secret_sources(&self.aws);
        let talks = services
            .iter()
            .any(|service| matches!(service, ServiceName::Users | ServiceName::Orders | ServiceName::Analytics));
        let is_wanted = |service: &ConsumerService| service.encryption.is_some_and(PeerEncryption::is_some);
        if self.chassis.consumer_services.iter().any(is_wanted) && !self.keys.has_any() {
            let expected = "ENCRYPTION_KEY beside it, where a service wants encrypted requests";
            reader.refuse(&config::CONSUMER_SERVICES.info, expected);
        }
        self.keys.check(reader, &sources, talks);
    }

    /// Orders asks users who is one; in production every token is verified, and orders shows analytics one.
    fn check_users_elsewhere(&self, reader: &mut Reader<'_>, has_orders: bool, has_analytics: bool) {
        let has_role = self.shown_identity == ShownIdentity::Aws;
        let needs_key = self.chassis.production && self.chassis.tokens.key.is_none();
        if has_orders && needs_key && !has_role && self.analytics_at.is_some() {
            let expected = "the key that users signs tokens with: orders shows analytics a token of its own, or SERVICE_IDENTITY=aws, or ANALYTICS_SERVICE_URL unset";
            reader.refuse(&JWT_SECRET_KEY.info, expected);
        }
        if self.users_at.is_some() {
            return;
        }
        if has_role && (has_orders || has_analytics) {
            let expected =
                "where users is, such as `http://users.internal:8002`: SERVICE_IDENTITY=aws gets tokens there";
            reader.refuse(&USER_SERVICE_URL.info, expected);
        } else if has_orders {
            let expected = "where users is, such as `http://users.internal:8002`, or users in the same process";
            reader.refuse(&USER_SERVICE_URL.info, expected);
        } else if has_analytics && needs_key {
            let expected = "the key of users, or USER_SERVICE_URL, where users publishes its public keys";
            reader.refuse(&JWT_SECRET_KEY.info, expected);
        }
    }

    /// Whether anything in AWS is used.
    pub(crate) fn uses_aws(&self) -> bool {
        let tokens = &self.chassis.tokens;
        let secrets = [&self.ingest.api_token, &tokens.key, &tokens.previous_key].into_iter().flatten();
        let keys = self.keys.all.iter().filter_map(|setting| setting.text.as_ref());
        let is_in_aws = |secret: &str| secret.starts_with("ssm:") || secret.starts_with("secretsmanager:");
        self.queue.url.starts_with("sqs:")
            || self.objects_url.starts_with("s3:")
            || secrets.chain(keys).any(|secret| is_in_aws(secret.expose_secret()))
    }

    /// The port of a service, and the variable that changes it.
    fn port(&self, service: ServiceName) -> (u16, &'static str) {
        self.chassis.service_port.map_or_else(|| self.ports.of(service), |port| (port, "SERVICE_PORT"))
    }

    /// Where these services listen.
    pub(crate) fn wanted_ports(&self, services: &[ServiceName]) -> Vec<WantedPort> {
        let wanted = |&service: &ServiceName| {
            let (port, variable) = self.port(service);
            WantedPort { service: identity(service).short_name, port, variable }
        };
        services.iter().map(wanted).collect()
    }
}

/// Why nothing can expire in an object store of this URL, and what to do instead.
pub(crate) fn no_retention(objects_url: &str) -> Option<&'static str> {
    match ObjectPlace::of(objects_url).ok()? {
        ObjectPlace::Folder(_) => None,
        ObjectPlace::Bucket { .. } => Some(
            "it unset: objects on S3 expire by a lifecycle rule of the bucket, for the prefixes `messages/` and `rollups/` (`aws s3api put-bucket-lifecycle-configuration`); the archiver has no right to delete there",
        ),
        ObjectPlace::Memory => Some("it unset: objects in memory are gone at the end anyway"),
    }
}

/// Layers the file, the environment and the flags.
pub(crate) fn load(common: &Common, listen: &ListenArgs, port: Option<u16>) -> Result<Layers, Mistakes> {
    let known = known();
    let mut flags: Vec<(&'static str, &'static str, String)> = Vec::new();
    let mut flag = |name, flag, text: Option<String>| flags.extend(text.map(|text| (name, flag, text)));
    flag("KEELSON_DATA", "--data", common.data.as_deref().map(shown_path));
    flag("KEELSON_HOST", "--host", listen.host.map(|host| host.to_string()));
    flag("SERVICE_PORT", "--port", port.map(|port| port.to_string()));
    // Where the file is can only be said outside it.
    let outside = Layers::load(&known, None, &[])?;
    let file =
        common.config.clone().or_else(|| Reader::new(&outside).get_optional(&names::CONFIG_FILE).map(PathBuf::from));
    Layers::load(&known, file.as_deref(), &flags)
}

/// The data folder alone, for commands that look for a running system.
pub(crate) fn data_folder(layers: &Layers) -> PathBuf {
    Reader::new(layers).get(&DATA)
}

/// The ports of these services, without a look at the other settings.
pub(crate) fn service_ports(layers: &Layers, services: &[ServiceName]) -> Result<Vec<u16>, Mistakes> {
    let mut reader = Reader::new(layers);
    let ports = Ports::read(&mut reader);
    reader.finish(services.iter().map(|&service| ports.of(service).0).collect())
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

fn shown(layers: &Layers) -> Map<String, Value> {
    let explained = known().into_iter().map(|info| config::explain(&info, layers));
    explained.map(|it| (it.name.to_owned(), it.value.map_or(Value::Null, Value::String))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_has_the_type_of_its_setting_and_every_name_is_there_once() {
        Settings::read(&Layers::default(), Mode::Up, ServiceName::ALL).unwrap();
        let mut names: Vec<&str> = known().iter().map(|info| info.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
