//! Logs: events and access records become JSON lines, or readable ones on a terminal, through one bounded buffer.
//!
//! [`Logs::install`] once at start-up, [`Logs::close`] once at the end; in between `tracing`'s macros and
//! [`Logs::access`]. Nothing that logs ever waits for an output: a line that finds the buffer full is counted and
//! dropped. The ids on a line come from the [`Scope`], not from spans.
//!
//! Nothing here searches lines for secrets, which would be a promise that cannot be kept. Secrets are wrapped types
//! that print as `***`, and query strings and bodies are not logged.
//!
//! An event's field that has the name of a fixed one, or of an earlier one, gets the prefix `field.`.

mod access;
#[cfg(any(test, feature = "testing"))]
mod captured;
mod files;
mod filter;
mod json;
mod layer;
mod level;
mod line;
mod output;
mod panics;
mod sink;
mod stamp;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::Dispatch;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt as _;

pub use self::access::{ACCESS, AccessRecord};
#[cfg(any(test, feature = "testing"))]
pub use self::captured::Captured;
pub use self::level::{AUDIT, CRITICAL, Level, UnknownLevel};

use self::files::Files;
use self::filter::Filter;
use self::layer::{LogLayer, Pipeline};
use self::output::Outputs;
use self::sink::Sink;
use super::correlation::Scope;
use crate::clock::Clock;

/// What a line on the stream looks like. Files are always JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object for each line.
    Json,
    /// For people.
    Terminal {
        /// Whether the level is coloured. Who reads the environment decides, since `NO_COLOR` is there.
        color: bool,
    },
}

/// Which stream takes the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

/// How the process logs.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `LOG_LEVEL`: from which level on our own crates log.
    pub level: Level,
    /// Which crates are our own; what logs under `keelson` always is.
    pub own_crates: &'static [&'static str],
    /// `LOG_FILTER`: the same for all other crates, as `level` and `target=level` separated by commas; WARNING when
    /// nothing is said.
    pub filter: String,
    /// The look of the stream's lines.
    pub format: Format,
    /// The stream.
    pub stream: Stream,
    /// `LOG_DIR`: where to write files as well.
    pub dir: Option<PathBuf>,
    /// The service of lines that are logged outside any scope.
    pub default_service: Arc<str>,
}

impl LogSettings {
    /// The built-in defaults: INFO, others from WARNING on, JSON on the standard output, no files.
    #[must_use]
    pub fn new(default_service: &str) -> Self {
        Self {
            level: Level::Info,
            own_crates: &["chassis"],
            filter: "warn".to_owned(),
            format: Format::Json,
            stream: Stream::Stdout,
            dir: None,
            default_service: default_service.into(),
        }
    }
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A directive that cannot be read.
    #[error(
        "LOG_FILTER: `{0}` is neither `level` nor `target=level`, where level is off, trace, debug, info, warn or error"
    )]
    Filter(String),
    /// The folder cannot be created or written to.
    #[error("LOG_DIR: cannot write log files to {}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The stream cannot be used.
    #[error("cannot write logs to the standard streams: {0}")]
    Stream(io::Error),
    /// The writer thread does not start.
    #[error("cannot start the thread that writes logs: {0}")]
    Thread(io::Error),
    /// Another subscriber is there already.
    #[error("logging is already installed in this process")]
    AlreadyInstalled,
}

/// The process's logs. Dropping the last handle closes them, unless they are installed.
#[derive(Debug)]
pub struct Logs {
    pipeline: Arc<Pipeline>,
}

impl Logs {
    /// Starts the writer and makes it the destination of all events and panics of this process.
    ///
    /// # Errors
    /// When a setting is wrong, the folder cannot be written to, or logging is installed already.
    pub fn install(settings: LogSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>, LogError> {
        // Not `io::stdout`, which would hold a line back and search each buffer for the last newline.
        let stream = match settings.stream {
            Stream::Stdout => io::stdout().as_fd().try_clone_to_owned(),
            Stream::Stderr => io::stderr().as_fd().try_clone_to_owned(),
        };
        let stream = File::from(stream.map_err(LogError::Stream)?);
        let logs = Self::start(settings, clock, Box::new(stream))?;
        tracing::dispatcher::set_global_default(logs.dispatch()).map_err(|_| LogError::AlreadyInstalled)?;
        panics::install_hook(Arc::clone(&logs.pipeline));
        Ok(logs)
    }

    fn start(
        settings: LogSettings,
        clock: Arc<dyn Clock>,
        stream: Box<dyn Write + Send>,
    ) -> Result<Arc<Self>, LogError> {
        let LogSettings { level, own_crates, filter, format, stream: _, dir, default_service } = settings;
        let filter = Filter::new(level, own_crates, &filter)?;
        let open = |folder: PathBuf| {
            Files::open(&folder, &default_service).map_err(|source| LogError::Folder { folder, source })
        };
        let files = dir.map(open).transpose()?;
        let has_files = files.is_some();
        let sink = Sink::start(Outputs::new(stream, files)).map_err(LogError::Thread)?;
        let pipeline = Pipeline { filter, clock, format, has_files, default_service, sink };
        Ok(Arc::new(Self { pipeline: Arc::new(pipeline) }))
    }

    /// A tracing subscriber that writes to these logs, for `tracing::dispatcher::with_default` in tests.
    #[must_use]
    pub fn dispatch(&self) -> Dispatch {
        Dispatch::new(Registry::default().with(LogLayer(Arc::clone(&self.pipeline))))
    }

    /// From which level on our own crates log.
    #[must_use]
    pub fn level(&self) -> Level {
        self.pipeline.filter.level()
    }

    /// Changes the level of our own crates while the process runs.
    pub fn set_level(&self, level: Level) {
        self.pipeline.filter.set_level(level);
        // Each place that logs remembers whether it may.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Writes the line of one request: at INFO, or at ERROR from status 500 on. Cheap enough for every request.
    pub fn access(&self, record: &AccessRecord<'_>, scope: &Scope) {
        self.pipeline.access(record, scope);
    }

    /// Lines that were dropped because the buffer was full or closed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.pipeline.sink.dropped()
    }

    /// Writes to a stream or file that failed, each with the loss of at most one buffer.
    #[must_use]
    pub fn write_errors(&self) -> u64 {
        self.pipeline.sink.failures()
    }

    /// Waits until everything logged so far is written; two seconds at most. It blocks the thread: not for handlers.
    pub fn flush(&self) {
        self.pipeline.sink.flush();
    }

    /// Writes what is left and ends the writer; two seconds at most. Later lines are dropped and counted; closing
    /// again does nothing.
    pub fn close(&self) {
        self.pipeline.sink.close();
    }
}

/// Whether `directives` can be a `LOG_FILTER`.
#[must_use]
pub fn valid_filter(directives: &str) -> bool {
    Filter::new(Level::Info, &[], directives).is_ok()
}
