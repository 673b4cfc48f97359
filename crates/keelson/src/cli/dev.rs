//! Flags of `keelson dev`.

use std::path::PathBuf;

use clap::Args;

use super::{ListenArgs, ServiceName};

pub(super) const HELP: &str = "\
Watches the packages of the cargo workspace around the current folder. After an edit it runs
`cargo build --package keelson`, ends the running process and starts the new one on the same
sockets: who connects meanwhile waits, and nobody is refused. Clients that keep connections open
are told to close them with their last answer. A build that fails changes nothing; a program that
ends before it is ready is replaced by the last one that was. Ctrl-C stops all.

Settings are those of `up`, or with services those of `serve`. Ports are taken once, at the start.

Examples:
  keelson dev                      everything, as `up` runs it
  PRODUCTION=false keelson dev users orders      these services, as `serve` runs them
  keelson dev -- --release         with options of `cargo build`
  keelson dev --poll 1s            where edits are not told, such as in a container on macOS
  keelson dev --build 'just build' --executable out/keelson";

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Which services, as `serve` runs them [default: all, as `up` runs them]
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,

    #[command(flatten)]
    pub(crate) listen: ListenArgs,

    /// Build by this command of the shell, not by cargo
    #[arg(long, value_name = "COMMAND", requires = "executable", conflicts_with = "options")]
    pub(crate) build: Option<String>,

    /// The program that this command builds
    #[arg(long, value_name = "FILE", requires = "build")]
    pub(crate) executable: Option<PathBuf>,

    /// Look for edits this often, where the system does not tell of them (KEELSON_DEV_POLL)
    #[arg(long, value_name = "TIME")]
    pub(crate) poll: Option<String>,

    /// Options of `cargo build`
    #[arg(last = true, value_name = "OPTION")]
    pub(crate) options: Vec<String>,
}
