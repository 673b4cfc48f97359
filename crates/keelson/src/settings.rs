//! The settings of a whole process: those of the chassis, of each service, and where the stores are.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

pub(crate) use chassis::config::SERVICE_PORT;
use chassis::config::{
    self, ChassisConfig, Layers, Mistakes, OptionalSetting, Port, Reader, Section, Setting, SettingInfo, check_secret,
    names,
};
use pipeline::config::{ArchiverConfig, IngestConfig};
use secrecy::ExposeSecret;
use serde_json::{Map, Value};

use crate::cli::{Common, ListenArgs, ServiceName};

const DATA: Setting<PathBuf> = Setting::new(
    "KEELSON_DATA",
    "./keelson-data",
    "The data folder: embedded stores and generated secrets. One process owns it. Also `--data`.",
);
const QUEUE_URL: OptionalSetting<String> = OptionalSetting::new(
    "QUEUE_URL",
    "The queue: `sqlite:PATH`, or `memory:` which forgets at the end. Default: `queue.db` in the data folder.",
);
const OBJECTS_URL: OptionalSetting<String> = OptionalSetting::new(
    "OBJECTS_URL",
    "The object store: `file:FOLDER`, or `memory:` which forgets at the end. Default: `objects` in the data folder.",
);
const INGEST_PORT: Setting<Port> = Setting::new(
    "INGEST_PORT",
    "8080",
    "The port of ingest; 0 takes any free one. `SERVICE_PORT` and `--port` win over it.",
);
const ARCHIVER_PORT: Setting<Port> = Setting::new(
    "ARCHIVER_PORT",
    "8081",
    "The port of the archiver; 0 takes any free one. `SERVICE_PORT` and `--port` win over it.",
);

/// The seeds' names for stores that this build cannot open yet: set, they must not be passed over in silence.
const NOT_YET: &[OptionalSetting<String>] = &[
    OptionalSetting::new("SQS_QUEUE_URL", "Refused: this build has the embedded queue alone."),
    OptionalSetting::new("S3_BUCKET_NAME", "Refused: this build has the embedded object store alone."),
    OptionalSetting::new("SSM_PARAMETER_NAME", "Refused: use `API_TOKEN=file:PATH` or `API_TOKEN=env:NAME`."),
];

/// References to secrets that this build cannot resolve yet: taken for the secret itself they would be its value.
const NOT_YET_SCHEMES: &[&str] = &["ssm:", "secretsmanager:", "arn:"];

const SYSTEM: Section = Section {
    title: "The system",
    settings: &[
        DATA.info,
        QUEUE_URL.info,
        OBJECTS_URL.info,
        INGEST_PORT.info,
        ARCHIVER_PORT.info,
        NOT_YET[0].info,
        NOT_YET[1].info,
        NOT_YET[2].info,
    ],
};

/// Every section, in the order of the reference.
pub(crate) fn sections() -> Vec<Section> {
    [&[SYSTEM], config::SETTINGS, pipeline::config::SETTINGS].concat()
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
    pub(crate) data: PathBuf,
    pub(crate) queue_url: String,
    pub(crate) objects_url: String,
    pub(crate) ingest: IngestConfig,
    pub(crate) archiver: ArchiverConfig,
    ingest_port: u16,
    archiver_port: u16,
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
        let settings = Self {
            chassis: ChassisConfig::read(&mut reader, services.len(), default_host),
            queue_url: reader.get_optional(&QUEUE_URL).unwrap_or_else(|| in_data("sqlite", "queue.db")),
            objects_url: reader.get_optional(&OBJECTS_URL).unwrap_or_else(|| in_data("file", "objects")),
            ingest: IngestConfig::read(&mut reader),
            archiver: ArchiverConfig::read(&mut reader),
            ingest_port: reader.get(&INGEST_PORT).0,
            archiver_port: reader.get(&ARCHIVER_PORT).0,
            shown: shown(layers),
            data,
        };
        for setting in NOT_YET {
            if reader.is_set(&setting.info) {
                reader.refuse(&setting.info, "it unset: this build has the embedded stores alone");
            }
        }
        if services.contains(&ServiceName::Ingest) {
            settings.check_api_token(&mut reader, mode);
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
        let is_reference = crate::wire::secret_sources().reference(token).is_some();
        let names_aws = NOT_YET_SCHEMES.iter().any(|scheme| token.expose_secret().starts_with(scheme));
        if names_aws {
            IngestConfig::refuse_api_token(reader, "a reference that this build knows: `env:NAME` or `file:PATH`");
        } else if self.chassis.production
            && !is_reference
            && let Some(expected) = check_secret(token)
        {
            IngestConfig::refuse_api_token(reader, &expected);
        }
    }

    /// The port of a service, and the variable that changes it.
    pub(crate) fn port(&self, service: ServiceName) -> (u16, &'static str) {
        let (own, variable) = match service {
            ServiceName::Ingest => (self.ingest_port, INGEST_PORT.info.name),
            ServiceName::Archiver => (self.archiver_port, ARCHIVER_PORT.info.name),
        };
        self.chassis.service_port.map_or((own, variable), |port| (port, "SERVICE_PORT"))
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
