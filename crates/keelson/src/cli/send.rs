//! Flags of `keelson send`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::commands::send::Format;

/// What becomes of a mail, and how the command ends.
pub(super) const HELP: &str = "\
What is read:
  A file is an mbox, JSON lines or a single mail by its name (.mbox, .jsonl, .ndjson, .eml), or
  by how it begins. Folders are walked in the order of names. A message may have 32 MiB; the
  service takes 1 MiB of text. A line of JSON is a message's `data`, or {\"data\":{…}}; a token in
  it is left behind.

What a mail becomes:
  email_subject     Subject, or \"(no subject)\"
  email_sender      From; else Sender, Return-Path, or the mbox's own line; with none it is not
                    sent
  email_timestream  Date as RFC 3339, or as it was written; else that of the last Received, or
                    the mbox's own line; with none it is not sent, unless --file-time is given
  email_content     the text, or the HTML as text; else the text of an attached mail, the body
                    as it stands when it has lost its structure, or \"(no text)\"
  Beside them: email_recipients, email_message_id, email_attachments (names, types, sizes), and
  in email_substituted each field that was not taken from its own header.

When nothing runs on the data folder, messages are checked in the same way and put on its queue,
where they wait for `keelson up`. No system can start on the folder until all are there.

Each message is sent, or named on standard error with its reason. Requests are repeated after
429, 503 and faults, with growing pauses and not earlier than Retry-After says. Delivery is at
least once: a message whose acknowledgement is lost is sent again. After a kill -9, --resume
sends at most --concurrency messages twice.

Examples:
  keelson send Mail/                             everything in a folder, to what runs here
  keelson send inbox.mbox --resume inbox.state   started again, it goes on where it stopped
  zcat old.mbox.gz | keelson send -
  keelson send --dry-run Mail/                   say what would not be sent; with --resume, what
                                                 would still be sent
  API_TOKEN=file:token keelson send list.jsonl --url http://10.0.0.7:8080

Exit codes: 0 all sent, 64 wrong usage or target, 65 some refused or unreadable, 69 no system and
no queue, or it takes nothing more, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Files and folders; `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Take every file for this, whatever it looks like
    #[arg(long)]
    pub(crate) format: Option<Format>,

    /// The address of ingest; API_TOKEN has its token [default: what runs on the data folder]
    #[arg(long)]
    pub(crate) url: Option<String>,

    /// Messages on their way at the same time
    #[arg(long, value_name = "COUNT", default_value = "16", value_parser = value_parser!(u16).range(1..=512))]
    pub(crate) concurrency: u16,

    /// Note what is sent in this file, and send nothing that it has
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,

    /// How long to go on while the service takes nothing
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) patience: String,

    /// Give a mail without any date the time of its file
    #[arg(long)]
    pub(crate) file_time: bool,

    /// Read and check everything, send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the sums as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
