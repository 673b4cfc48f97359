//! `keelson serve`: these services, as a container runs them.

use std::process::ExitCode;

use tracing::info;

use super::process::Process;
use crate::cli::{Common, ServeArgs, ServiceName};
use crate::failure::Failure;
use crate::settings::{self, Mode};

/// Runs the services until a signal.
pub(crate) async fn run(common: &Common, args: &ServeArgs) -> Result<ExitCode, Failure> {
    let named = |name: &&ServiceName| args.services.contains(name);
    let services: Vec<ServiceName> = ServiceName::ALL.iter().filter(named).copied().collect();
    let layers = settings::load(common, &args.listen, args.port)?;
    let process = Process::start(&layers, Mode::Serve, &services).await?;
    process.run(|| info!("ready")).await
}
