//! Flags of `keelson cost`.

use clap::Args;

pub(super) const HELP: &str = "\
Reads the bills of processes that run (`cost` in their /status): requests to SQS, S3 and the source
of the token, as AWS bills them. Storage, traffic, the free tier and KMS are not in it.
Then it works out what a million messages cost with the settings in force: with full batches, as
under load, and one at a time; and what other settings would save. Prices are AWS_PRICES.

Examples:
  keelson cost                                         what runs on the data folder
  keelson cost http://10.0.0.5:9090 http://10.0.0.6:9090   these processes, by their internal ports
  keelson cost --message-bytes 20000                   other messages than those so far
  keelson cost --json

Exit codes: 0 done, 64 wrong usage or configuration, 69 a process that is named does not answer.";

#[derive(Debug, Args)]
pub(crate) struct CostArgs {
    /// Addresses of processes: their internal ports in production [default: what runs on the data
    /// folder]
    #[arg(value_name = "URL")]
    pub(crate) processes: Vec<String>,

    /// Bytes of a message as it travels, attributes included
    #[arg(long, value_name = "BYTES", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub(crate) message_bytes: u64,

    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}
