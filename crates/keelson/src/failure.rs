//! How a command fails: one clear text and an exit code that scripts can rely on.

use std::fmt;
use std::process::ExitCode;

use backends::OpenError;
use backends::local::{FolderError, SecretFileError};
use chassis::auth::KeyError;
use chassis::config::Mistakes;
use chassis::lifecycle::Ending;
use chassis::ports::{ObjectError, QueueError};
use chassis::run::{BindError, RunError};
use chassis::telemetry::logs::LogError;
use chassis::tls::TlsError;

/// Wrong usage or configuration (`EX_USAGE` of sysexits.h).
pub(crate) const USAGE: u8 = 64;
/// Some of the input could not be used (`EX_DATAERR`).
const DATA: u8 = 65;
/// Something that the command needs is unavailable (`EX_UNAVAILABLE`).
const UNAVAILABLE: u8 = 69;
/// Ended by the user, as shells count it: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// It ran and did not succeed.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
    }

    /// It was asked wrongly.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }

    /// Some of its input could not be used.
    pub(crate) fn data(text: impl Into<String>) -> Self {
        Self { code: DATA, text: text.into() }
    }

    /// Something that it needs is unavailable.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self { code: UNAVAILABLE, text: text.into() }
    }

    /// The user ended it.
    pub(crate) fn interrupted() -> Self {
        Self { code: INTERRUPTED, text: "interrupted".into() }
    }

    pub(crate) fn is_usage(&self) -> bool {
        self.code == USAGE
    }

    /// The same failure, with more to say.
    pub(crate) fn with(self, more: &str) -> Self {
        Self { text: format!("{}{more}", self.text), ..self }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::usage(mistakes.to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::UnknownScheme { .. } | OpenError::Malformed { .. } => Self::usage(error.to_string()),
            _ => Self::unavailable(error.to_string()),
        }
    }
}

impl From<FolderError> for Failure {
    fn from(error: FolderError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<SecretFileError> for Failure {
    fn from(error: SecretFileError) -> Self {
        match error {
            SecretFileError::NotFound(_) | SecretFileError::Unusable { .. } => Self::usage(error.to_string()),
            SecretFileError::Changed(_) => Self::failed(error.to_string()),
            _ => Self::unavailable(error.to_string()),
        }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Unavailable(_) | QueueError::Timeout => Self::unavailable(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<ObjectError> for Failure {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Unavailable(_) | ObjectError::Timeout => Self::unavailable(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Bind(error @ BindError::Inherited(_)) => Self::usage(error.to_string()),
            RunError::Bind(error) => Self::unavailable(error.to_string()),
            RunError::Signals(_) | RunError::Tls(_) => Self::failed(error.to_string()),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::usage(error.to_string())
    }
}

/// How a process that ran services ends.
pub(crate) fn ended(ending: Ending) -> Result<ExitCode, Failure> {
    match ending {
        Ending::Clean => Ok(ExitCode::SUCCESS),
        Ending::Interrupted => Err(Failure::interrupted()),
        Ending::CutOff => Err(Failure::failed("the shutdown grace was over before all work was finished")),
        Ending::Failed(reason) => Err(Failure::failed(reason)),
    }
}
