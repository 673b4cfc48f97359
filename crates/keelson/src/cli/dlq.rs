//! Flags of `keelson dlq`.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

pub(super) const HELP: &str = "\
Dead letters are messages that the archiver gave up on: not storable, or failed too often. They are
those of the system that runs on the data folder. When nothing runs there, the queue is opened
itself, and no system can start on the folder until the command is done.

Examples:
  keelson dlq list
  keelson dlq show 01a1fcc5-807f-74c1-b15c-d5dc53c430a1
  keelson dlq redrive --all                    send all back to the queue, when the cause is mended
  keelson dlq purge 01a1fcc5-807f-74c1-b15c-d5dc53c430a1
  keelson dlq purge --all --yes                delete all for good, without a question
  keelson dlq list --url http://10.0.0.7:9091 --token-file operator_token

Exit codes: 0 done, 1 no such dead letter, 64 wrong usage, 69 no system and no queue, or no answer,
130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    pub(crate) command: DlqCommand,

    /// The archiver's address for operators [default: what runs on the data folder]
    #[arg(long, global = true, requires = "token_file")]
    pub(crate) url: Option<String>,

    /// A file with the operator's token, for --url
    #[arg(long, global = true, value_name = "FILE", requires = "url")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters, the oldest death first
    List {
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value = "100", value_parser = value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one dead letter whole: its reason, its attributes, its body
    Show {
        id: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send dead letters back to the queue; they keep their ids and dates
    Redrive(Chosen),
    /// Delete dead letters for good
    Purge {
        #[command(flatten)]
        chosen: Chosen,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Some or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// These
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All there are
    #[arg(long)]
    pub(crate) all: bool,
}
