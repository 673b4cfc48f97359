//! Flags of `keelson keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const HELP: &str = "\
Services encrypt calls with the first key of a ring and decrypt them with all of its keys. A
rotation has three steps: a new key that decrypts, the new key encrypts, the old key goes.
Between two steps every service must have read the one before, so that none refuses another:
a file that a setting refers to is read every 5 s, any other source every 5 minutes. Which step
is next follows from the ring, so the same command goes on with a rotation that was interrupted.

Examples:
  (umask 077; keelson keys generate > encryption_key)
  keelson keys list
  keelson keys rotate                      the next step
  keelson keys rotate --wait 15s           every step, with a pause between them
  keelson keys rotate /run/secrets/encryption_key
  aws ssm get-parameter --name /keelson/key --with-decryption --query Parameter.Value \\
    --output text | keelson keys rotate - | aws ssm put-parameter --name /keelson/key \\
    --type SecureString --overwrite --value file:///dev/stdin

Exit codes: 0 done, 1 the ring does not say what its next step is, or was changed meanwhile,
64 wrong usage or no ring, 69 the ring cannot be read or written, 130 interrupted.";

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Print a ring of one new key, for ENCRYPTION_KEY and its like
    Generate(GenerateArgs),
    /// List the keys of a ring by their ids, and the next step of its rotation; no key is shown
    List(ListArgs),
    /// Do the next step of a rotation
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The id of the key [default: the time, such as k-20261122T170500Z, which lets a rotation see its age]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Print the key alone; its id follows from it
    #[arg(long, conflicts_with = "id")]
    pub(crate) bare: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// A file with a ring, or - for standard input [default: what the settings name]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The file with the ring, which is replaced; with - the ring comes from standard input, and the next one is
    /// printed [default: the file of ENCRYPTION_KEY, else secrets/encryption_key in the data folder]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Do every step that is left, and wait so long before each of them but the adding of a key, such as 15s, up to 1d
    #[arg(long, value_name = "TIME", conflicts_with = "print")]
    pub(crate) wait: Option<String>,
    /// Print the next ring, and leave the file as it is
    #[arg(long)]
    pub(crate) print: bool,
}
