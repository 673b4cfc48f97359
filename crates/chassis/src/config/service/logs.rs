//! Where logs go and which.

use std::path::PathBuf;

use super::super::{FromText, OptionalSetting, Reader, Section, Setting};
use crate::telemetry::logs::{Level, valid_filter};

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

pub(super) const SECTION: Section =
    Section { title: "Logs", settings: &[LOG_LEVEL.info, LOG_FILTER.info, LOG_DIR.info] };

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

impl LogConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
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
