//! The settings of the pipeline.

mod retention;
mod rollup;

use std::time::Duration;

use chassis::config::{OptionalSetting, Reader, Section, Setting};
use chassis::ports::queue::{MAX_BATCH, MAX_VISIBILITY, MAX_WAIT};
use secrecy::SecretString;

pub use self::retention::RetentionConfig;
use self::retention::{ARCHIVE_RETENTION, ARCHIVE_RETENTION_DELETE};
use self::rollup::{ARCHIVE_ROLLUP, ARCHIVE_ROLLUP_COMPRESSION};
pub use self::rollup::{HIDDEN_AGES, RollupConfig};

/// The token, or where it is.
pub const API_TOKEN: OptionalSetting<SecretString> = OptionalSetting::secret(
    "API_TOKEN",
    "The token that ingest asks for: the token itself, or a reference to it: `file:PATH`, `env:NAME`, `ssm:NAME` (Parameter Store), `secretsmanager:NAME` or `secretsmanager:NAME#FIELD` (Secrets Manager; names may be ARNs). A referenced token is read again before it is 5 minutes old, so a rotation needs no restart. Unset, `up` makes one in the data folder (`secrets/api_token`); `serve ingest` needs it set.",
);
const VISIBILITY_TIMEOUT: Setting<Duration> = Setting::new(
    "VISIBILITY_TIMEOUT",
    "30s",
    "How long a message that the archiver took stays hidden from other receivers, 1s to 12h; extended at half of it while the work goes on. With `ARCHIVE_ROLLUP` at least three times its age.",
);
const MAX_MESSAGES: Setting<usize> =
    Setting::new("MAX_MESSAGES", "10", "Messages that the archiver takes in one receive, 1 to 10.");
const MAX_RECEIVE_COUNT: Setting<u32> = Setting::new(
    "MAX_RECEIVE_COUNT",
    "3",
    "Attempts at storing a message before it goes to the dead-letter queue, 1 to 1000. On SQS the `maxReceiveCount` of the queue's redrive policy counts instead.",
);
const POLL_INTERVAL: Setting<Duration> = Setting::new(
    "POLL_INTERVAL",
    "10s",
    "How long one look at an empty queue waits for messages. A new message ends the wait at once. More than 20s counts as 20s.",
);
const ARCHIVE_CONCURRENCY: Setting<usize> = Setting::new(
    "ARCHIVE_CONCURRENCY",
    "64",
    "Messages that one archiver works on at once, 1 to 1000. On SQS as many again, 40 at most, are held ready.",
);

/// For the printed reference.
pub const SETTINGS: &[Section] = &[Section {
    title: "Message pipeline",
    settings: &[
        API_TOKEN.info,
        VISIBILITY_TIMEOUT.info,
        MAX_MESSAGES.info,
        MAX_RECEIVE_COUNT.info,
        POLL_INTERVAL.info,
        ARCHIVE_CONCURRENCY.info,
        ARCHIVE_ROLLUP.info,
        ARCHIVE_ROLLUP_COMPRESSION.info,
        ARCHIVE_RETENTION.info,
        ARCHIVE_RETENTION_DELETE.info,
    ],
}];

/// What ingest is configured with.
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// `API_TOKEN`: the token or a reference to it.
    pub api_token: Option<SecretString>,
}

impl IngestConfig {
    /// Reads the settings.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        Self { api_token: reader.get_optional(&API_TOKEN) }
    }

    /// Remembers that `API_TOKEN` breaks a rule that only the caller knows.
    pub fn refuse_api_token(reader: &mut Reader<'_>, expected: &str) {
        reader.refuse(&API_TOKEN.info, expected);
    }
}

/// What the archiver is configured with.
#[derive(Debug, Clone, Copy)]
pub struct ArchiverConfig {
    /// `VISIBILITY_TIMEOUT`, or longer where messages wait for their roll-up.
    pub visibility: Duration,
    /// `MAX_MESSAGES`.
    pub max_messages: usize,
    /// `MAX_RECEIVE_COUNT`.
    pub max_receive_count: u32,
    /// `POLL_INTERVAL`, but no longer than a queue's longest poll of 20 s.
    pub poll_wait: Duration,
    /// `ARCHIVE_CONCURRENCY`.
    pub concurrency: usize,
    /// `ARCHIVE_ROLLUP`, if it is set.
    pub rollup: Option<RollupConfig>,
    /// `ARCHIVE_RETENTION`, if it is set.
    pub retention: Option<RetentionConfig>,
}

impl ArchiverConfig {
    /// Reads the settings.
    pub fn read(reader: &mut Reader<'_>) -> Self {
        let mut config = Self {
            visibility: reader.get(&VISIBILITY_TIMEOUT),
            max_messages: reader.get(&MAX_MESSAGES),
            max_receive_count: reader.get(&MAX_RECEIVE_COUNT),
            poll_wait: reader.get(&POLL_INTERVAL).min(MAX_WAIT),
            concurrency: reader.get(&ARCHIVE_CONCURRENCY),
            rollup: RollupConfig::read(reader),
            retention: RetentionConfig::read(reader),
        };
        if !(Duration::from_secs(1)..=MAX_VISIBILITY).contains(&config.visibility) {
            reader.refuse(&VISIBILITY_TIMEOUT.info, "a time between 1s and 12h");
        }
        if !(1..=MAX_BATCH).contains(&config.max_messages) {
            reader.refuse(&MAX_MESSAGES.info, "a number between 1 and 10");
        }
        if !(1..=1000).contains(&config.max_receive_count) {
            reader.refuse(&MAX_RECEIVE_COUNT.info, "a number between 1 and 1000");
        }
        if !(1..=1000).contains(&config.concurrency) {
            reader.refuse(&ARCHIVE_CONCURRENCY.info, "a number between 1 and 1000");
        }
        if let Some(rollup) = config.rollup {
            config.visibility = config.visibility.max(rollup.age * HIDDEN_AGES);
        }
        config
    }

    /// The age of roll-ups, where it makes [`ArchiverConfig::visibility`] what it is: that is [`HIDDEN_AGES`] of them.
    #[must_use]
    pub fn age_that_hides(&self) -> Option<Duration> {
        self.rollup.map(|rollup| rollup.age).filter(|age| *age * HIDDEN_AGES == self.visibility)
    }
}
