//! `keelson serve`: these services, as a container runs them.

use std::process::ExitCode;

use chassis::run::InheritedSockets;
use tracing::info;

use super::process::Process;
use crate::cli::{Common, ServeArgs, ServiceName};
use crate::failure::Failure;
use crate::settings::{self, Mode};

/// Runs the services until a signal.
pub(crate) async fn run(common: &Common, args: &ServeArgs, inherited: InheritedSockets) -> Result<ExitCode, Failure> {
    let services = ServiceName::in_order(&args.services);
    let layers = settings::load(common, &args.listen, args.port)?;
    let process = Process::start(&layers, Mode::Serve, &services, inherited).await?.started_by(args.starter);
    process.run(|| info!("ready")).await
}
