//! How much a log line matters, in the words that operators already use.

use std::fmt;
use std::str::FromStr;

/// The target that turns an ERROR event into a CRITICAL one: `error!(target: CRITICAL, "out of disk")`.
pub const CRITICAL: &str = "keelson::critical";

/// The target of everything that an operator changes. It is logged at every level: who turns the log down must not
/// hide that, or what comes after.
pub const AUDIT: &str = "keelson::audit";

/// How much a line matters. Ordered: a setting lets its own level and everything above it through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Of use to who looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// Degraded, but the work goes on.
    Warning,
    /// Someone must act.
    Error,
    /// Someone must act now: the service cannot go on.
    Critical,
}

impl Level {
    /// The level of an event. TRACE has no name of its own here and prints as DEBUG.
    pub(super) fn of_event(level: tracing::Level, target: &str) -> Self {
        match level {
            tracing::Level::ERROR if target == CRITICAL => Self::Critical,
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }

    /// The most talkative tracing level that this setting lets through.
    pub(super) fn most(self) -> tracing::Level {
        match self {
            Self::Debug => tracing::Level::DEBUG,
            Self::Info => tracing::Level::INFO,
            Self::Warning => tracing::Level::WARN,
            Self::Error | Self::Critical => tracing::Level::ERROR,
        }
    }

    /// The name as it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log level: write DEBUG, INFO, WARNING, ERROR or CRITICAL")]
pub struct UnknownLevel(pub String);

impl FromStr for Level {
    type Err = UnknownLevel;

    /// Takes the Python names in any case, and `WARN`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_uppercase().as_str() {
            "DEBUG" => Ok(Self::Debug),
            "INFO" => Ok(Self::Info),
            "WARNING" | "WARN" => Ok(Self::Warning),
            "ERROR" => Ok(Self::Error),
            "CRITICAL" => Ok(Self::Critical),
            _ => Err(UnknownLevel(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_names_are_read_in_any_case_and_printed_in_upper_case() {
        for (text, printed) in [
            ("debug", "DEBUG"),
            ("Info", "INFO"),
            ("WARNING", "WARNING"),
            ("warn", "WARNING"),
            (" error ", "ERROR"),
            ("cRiTiCaL", "CRITICAL"),
        ] {
            assert_eq!(text.parse::<Level>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn an_unknown_level_is_refused_with_the_known_ones() {
        let refusal = "verbose".parse::<Level>().unwrap_err().to_string();
        assert_eq!(refusal, "`verbose` is not a log level: write DEBUG, INFO, WARNING, ERROR or CRITICAL");
    }

    #[test]
    fn only_an_error_on_the_critical_target_is_critical() {
        assert_eq!(Level::of_event(tracing::Level::ERROR, CRITICAL), Level::Critical);
        assert_eq!(Level::of_event(tracing::Level::WARN, CRITICAL), Level::Warning);
        assert_eq!(Level::of_event(tracing::Level::ERROR, "chassis"), Level::Error);
        assert_eq!(Level::of_event(tracing::Level::TRACE, "chassis"), Level::Debug);
    }
}
