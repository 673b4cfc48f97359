//! Flags of `keelson archive`.

use clap::{Args, Subcommand};
use jiff::civil::Date;

pub(super) const HELP: &str = "\
The archive is what the archiver has stored: one object for each message, and roll-ups where
ARCHIVE_ROLLUP is set. Both are read, and each message is shown once. It is the object store of the
settings (OBJECTS_URL, S3_BUCKET_NAME) where they name one, else that of the system on the data
folder, whether it runs or not. Nothing is changed, and nothing is made; `expire --delete` alone
deletes.

Days are UTC days of sending. A damaged object is named on standard error, the others are shown,
and the exit code is 1.

Examples:
  keelson archive ls --day 2026-11-21
  keelson archive cat 01a1fcc5-807f-74c1-b15c-d5dc53c430a1
  keelson archive find --correlation-id order-4711 --since 2026-11-01
  keelson archive find --text 'Happy new year' --json | jq .email_sender
  S3_BUCKET_NAME=letters keelson archive ls --limit 10
  keelson archive expire --older-than 90d            what would go
  keelson archive expire --older-than 90d --delete   delete it, after a question

Exit codes: 0 done, 1 not found, something is damaged or not deleted, 64 wrong usage, 69 no archive,
or it does not answer, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    #[command(subcommand)]
    pub(crate) command: ArchiveCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArchiveCommand {
    /// List stored messages, the oldest day first
    Ls {
        #[command(flatten)]
        days: Days,
        /// At most so many
        #[arg(long, value_name = "COUNT")]
        limit: Option<u64>,
        /// One JSON object for each message, a line each
        #[arg(long)]
        json: bool,
    },
    /// Print messages as they are stored
    ///
    /// An id that is a UUIDv7 tells its day. For others all days are searched, the newest first.
    Cat {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Sent on this day
        #[arg(long, value_name = "YYYY-MM-DD")]
        day: Option<Date>,
    },
    /// List the messages that match all that is asked for
    Find(FindArgs),
    /// Count what is older than it is to be kept, by day; delete it with --delete
    ///
    /// An object has expired when the day in its key and its last write are both older. For archives in files: a
    /// bucket on S3 has lifecycle rules for this.
    Expire(ExpireArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ExpireArgs {
    /// How long objects are kept, such as 90d, a day at least [default: ARCHIVE_RETENTION]
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<String>,
    /// Delete them for good
    #[arg(long)]
    pub(crate) delete: bool,
    /// Do not ask
    #[arg(long, requires = "delete")]
    pub(crate) yes: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FindArgs {
    /// With this id
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// With this correlation id, which is in `_metadata`
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<String>,
    /// Whose stored text has this in it, letter for letter: upper and lower case differ, and JSON writes some
    /// letters in its own way, such as `\n` and `\"`
    #[arg(long)]
    pub(crate) text: Option<String>,
    #[command(flatten)]
    pub(crate) days: Days,
    /// At most so many
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,
    /// The messages themselves, one on each line, instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which days.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Days {
    /// Sent on this day
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with_all = ["since", "until"])]
    pub(crate) day: Option<Date>,
    /// Sent on this day or later
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) since: Option<Date>,
    /// Sent on this day or earlier
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) until: Option<Date>,
}
