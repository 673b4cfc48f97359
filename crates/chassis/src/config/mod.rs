//! Configuration: built-in defaults < file < environment < flags.
//!
//! Each setting is a constant with its name, default and meaning; the reference that the binary prints is made from
//! the same constants. A [`Reader`] turns texts into values and collects every mistake, so that a wrong configuration
//! is one message, not a series of restarts. Nothing else in the project reads the environment.

mod layers;
mod reader;
mod reference;
mod secrets;
mod service;
mod setting;
mod values;

pub use layers::{Layers, Origin};
pub use reader::{Mistakes, Reader};
pub use reference::{Explained, env_file, explain, reference};
pub use secrets::{EnvSecrets, SecretSources, check_secret};
pub use service::{
    CONSUMER_SERVICES, ChassisConfig, ClientAuth, ConnectionConfig, ConsumerService, ConsumerServices,
    EncryptionConfig, HttpConfig, JWT_PREVIOUS_SECRET_KEY, JWT_SECRET_KEY, Lifetimes, LogConfig, PeerEncryption,
    SERVICE_IDENTITIES, SERVICE_PORT, SETTINGS, TlsConfig, TlsFiles, TokenConfig,
};
pub use setting::{OptionalSetting, Section, Setting, SettingInfo};
pub use values::{CommaList, FromText, Port};

/// Names that only say where the rest of the configuration is.
pub mod names {
    use super::OptionalSetting;

    /// The configuration file.
    pub const CONFIG_FILE: OptionalSetting<String> = OptionalSetting::new(
        "KEELSON_CONFIG",
        "A TOML file that sets any of these. Only in the environment. Also `--config`.",
    );
}

/// Whether the terminal's user asked for no colour (<https://no-color.org>).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "configuration is the one place that reads the environment")]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// What sockets that were handed over are called (sd_listen_fds(3)). Whoever starts the process says it, never a
/// person.
#[expect(clippy::disallowed_methods, reason = "configuration is the one place that reads the environment")]
pub(crate) fn names_of_sockets() -> Option<String> {
    std::env::var("LISTEN_FDNAMES").ok()
}
