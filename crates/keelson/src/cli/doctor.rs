//! Flags of `keelson doctor`.

use clap::Args;

use super::ServiceName;

pub(super) const HELP: &str = "\
Reads the same settings as `keelson serve`, asks what they name, and prints one line for each
check, with the fix below what is wrong. On AWS:
  credentials, who asks, the clock; the queue; its dead-letter queue and maxReceiveCount;
  VISIBILITY_TIMEOUT against the work that an archiver has measured; the bucket, its default
  encryption and its four public access blocks; the API token and how it is kept.
On PostgreSQL: whether it can be reached, its version, the tables, the rights of the user with the
  statements that grant them, what waits, dead letters, connections, settings that lose messages.
Elsewhere: the data folder and who has it, free disk space, the token, the system that runs.

It reads, and changes nothing: no message is sent or received, no object is written. So it cannot
tell whether a role of AWS may write; `keelson e2e` proves that. Nothing secret is printed. Every
question is bounded: with all of AWS or PostgreSQL silent it ends within 15 seconds.

It needs what the services need, and where it is allowed sees more:
  sqs:GetQueueAttributes on both queues, s3:GetEncryptionConfiguration and
  s3:GetBucketPublicAccessBlock on the bucket. What it may not see is a notice, not a failure.

Examples:
  keelson doctor                   what the settings here name
  keelson doctor ingest            what ingest alone needs, such as in its own container
  keelson doctor --archiver http://127.0.0.1:9090     take work times from this archiver
  keelson doctor --json

Exit codes: 0 nothing has failed (warnings may be there), 1 a check has failed, 64 wrong usage or
configuration, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The services whose needs are checked [default: all]
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,

    /// An archiver's address for metrics: its internal port in production [default: what runs on
    /// the data folder]
    #[arg(long, value_name = "URL")]
    pub(crate) archiver: Option<String>,

    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}
