//! The command line.

mod archive;
mod cost;
mod dev;
mod dlq;
mod doctor;
mod keys;
mod migrate;
mod send;
mod token;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use archive::{ArchiveArgs, ArchiveCommand, Days, ExpireArgs, FindArgs};
pub(crate) use cost::CostArgs;
pub(crate) use dev::DevArgs;
pub(crate) use dlq::{Chosen, DlqArgs, DlqCommand};
pub(crate) use doctor::DoctorArgs;
pub(crate) use keys::{GenerateArgs, KeysArgs, KeysCommand, ListArgs, RotateArgs};
pub(crate) use migrate::{MigrateArgs, MigrateCommand, MigratedService, MigratedServices};
pub(crate) use send::SendArgs;
pub(crate) use token::{IssueArgs, TokenArgs, TokenCommand};

/// Builds and runs microservices: one binary, everything embedded, or each service on its own.
#[derive(Debug, Parser)]
#[command(name = "keelson", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// What to do; `up` when nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Common {
    /// The folder of the embedded stores and generated secrets [default: ./keelson-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// A TOML file with settings
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  keelson                          everything on this machine, nothing to install
  keelson up --data /tmp/try       the same with another folder
  keelson e2e                      send a message through what runs and find it stored
  keelson send Mail/inbox.mbox     send what is in files
  keelson archive ls               what is stored
  keelson serve ingest archiver    these services, for production
  keelson dev                      everything, built and replaced at every edit of the sources
  keelson doctor                   is what production needs set up right?
  keelson config explain RATE_LIMIT

Exit codes: 0 done, 1 failed, 64 wrong usage or configuration, 65 some input cannot be used,\n69 something needed is unavailable, 130 interrupted.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run every service with embedded stores, on this machine
    #[command(
        after_help = "Examples:\n  keelson up\n  keelson up --data /srv/keelson --host 0.0.0.0      (set PRODUCTION first)\n  INGEST_PORT=0 keelson up --json              any free port, told as JSON\n\nGATEWAY_PORT, INGEST_PORT and so on set the ports."
    )]
    Up(UpArgs),
    /// Run these services, as a container does
    #[command(
        after_help = "Examples:\n  PRODUCTION=true API_TOKEN=file:/run/secrets/api_token keelson serve ingest archiver --data /srv/keelson\n\nServices that share embedded stores run in one process."
    )]
    Serve(ServeArgs),
    /// Run services from their sources: build at every edit, and replace what runs without refusing a connection
    #[command(after_help = dev::HELP)]
    Dev(DevArgs),
    /// Send a message through a running system and find it stored
    #[command(
        name = "e2e",
        after_help = "Examples:\n  keelson e2e                      the system that runs on ./keelson-data\n  keelson e2e --data /tmp/try --timeout 10s\n  ALB_DNS=… API_TOKEN=… S3_BUCKET_NAME=… keelson e2e --yes    one on AWS"
    )]
    EndToEnd(EndToEndArgs),
    /// Send mails and messages out of files: .eml, mbox, JSON lines, folders
    #[command(after_help = send::HELP)]
    Send(SendArgs),
    /// List, show, send back or delete the messages that the archiver gave up on
    #[command(after_help = dlq::HELP)]
    Dlq(DlqArgs),
    /// List, print and find the messages that are stored, and delete those that have expired
    #[command(after_help = archive::HELP)]
    Archive(ArchiveArgs),
    /// Print tokens for operators and scripts, and what a token says
    #[command(after_help = token::HELP)]
    Token(TokenArgs),
    /// Make, list and rotate the keys of encrypted calls
    #[command(after_help = keys::HELP)]
    Keys(KeysArgs),
    /// List the migrations of services' tables, print their SQL, apply what is pending
    #[command(after_help = migrate::HELP)]
    Migrate(MigrateArgs),
    /// Check that what the settings name is set up right, and say the fix where it is not
    #[command(after_help = doctor::HELP)]
    Doctor(DoctorArgs),
    /// Show what AWS has cost so far, what a million messages cost, and what a setting would save
    #[command(after_help = cost::HELP)]
    Cost(CostArgs),
    /// Ask whether services are ready; exit code 0 when all are
    #[command(
        after_help = "Examples:\n  keelson healthcheck                          what runs on ./keelson-data or, without stores there, on its ports\n  keelson healthcheck http://127.0.0.1:8080/health/live"
    )]
    Healthcheck(HealthcheckArgs),
    /// Show the settings in force, and where each comes from
    #[command(
        after_help = "Examples:\n  keelson config\n  keelson config --json\n  keelson config explain LOG_LEVEL\n  keelson config reference > docs/CONFIGURATION.md"
    )]
    Config(ConfigArgs),
    /// Print the OpenAPI document of a service
    #[command(after_help = "Examples:\n  keelson openapi ingest > ingest.json")]
    Openapi(OpenapiArgs),
    /// Print completions for a shell
    #[command(
        after_help = "Examples:\n  keelson completions bash > ~/.local/share/bash-completion/completions/keelson"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The services of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceName {
    /// One port for the whole system: passes requests on to the services behind it
    Gateway,
    /// Takes messages over HTTP and publishes them to the queue
    Ingest,
    /// Takes messages off the queue and stores each as an object
    Archiver,
    /// Keeps accounts; people register, log in and look at their profile
    Users,
    /// Keeps orders; people order and cancel, others confirm, ship and deliver
    Orders,
    /// Takes events, and counts them
    Analytics,
}

impl ServiceName {
    /// All of them, in the order in which they are shown.
    pub(crate) const ALL: &'static [Self] =
        &[Self::Gateway, Self::Users, Self::Orders, Self::Analytics, Self::Ingest, Self::Archiver];

    /// These services, each once and in the order of [`Self::ALL`].
    pub(crate) fn in_order(named: &[Self]) -> Vec<Self> {
        Self::ALL.iter().filter(|name| named.contains(name)).copied().collect()
    }

    /// Whether it keeps what it knows in the database of `DATABASE_URL`.
    pub(crate) fn keeps_records(self) -> bool {
        matches!(self, Self::Users | Self::Orders)
    }
}

/// Flags of commands that listen.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ListenArgs {
    /// The address to listen on [default: 127.0.0.1 for up, 0.0.0.0 for serve]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<IpAddr>,
}

/// For whoever starts such a command and may be killed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct StarterArgs {
    /// Stop, as on Ctrl-C, when standard input ends
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,

    #[command(flatten)]
    pub(crate) starter: StarterArgs,

    /// Print one JSON object when ready
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Which services
    #[arg(required = true, value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,

    #[command(flatten)]
    pub(crate) listen: ListenArgs,

    #[command(flatten)]
    pub(crate) starter: StarterArgs,

    /// The port to listen on, for a single service
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct EndToEndArgs {
    /// How long to wait for the message to be stored [default: 60s, and twice the age of ARCHIVE_ROLLUP]
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,
    /// Do not ask before real AWS resources are used
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HealthcheckArgs {
    /// What to ask instead
    pub(crate) url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ConfigCommand>,

    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say what a setting does, what it is and where that comes from
    Explain {
        /// The setting, such as LOG_LEVEL
        name: String,
    },
    /// Print the reference of all settings as Markdown
    Reference {
        /// As a file of the environment in which each is commented out, as `.env.example` has it
        #[arg(long)]
        env: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OpenapiArgs {
    /// Which service
    pub(crate) service: ServiceName,
}
