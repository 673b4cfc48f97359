//! What each command does.

mod api_token;
mod archive;
mod completions;
mod config;
pub(crate) mod cost;
pub(crate) mod dev;
mod dlq;
mod doctor;
pub(crate) mod e2e;
mod healthcheck;
mod http_client;
mod keys;
mod migrate;
mod openapi;
mod process;
pub(crate) mod send;
mod serve;
mod system;
mod token;
mod up;

use std::process::ExitCode;

use chassis::run::InheritedSockets;

use crate::cli::{Cli, Command, Common, UpArgs};
use crate::failure::Failure;

/// Runs the command, a server on the sockets that were handed over. Servers drain on Ctrl-C, a sender and a rotation
/// say where they stopped; any other command ends at once.
pub(crate) async fn dispatch(cli: Cli, inherited: InheritedSockets) -> Result<ExitCode, Failure> {
    let common = cli.common;
    match cli.command.unwrap_or(Command::Up(UpArgs::default())) {
        Command::Up(args) => up::run(&common, &args, inherited).await,
        Command::Serve(args) => serve::run(&common, &args, inherited).await,
        Command::Dev(args) => dev::run(&common, &args).await,
        Command::Send(args) => send::run(&common, &args).await.map(|()| ExitCode::SUCCESS),
        Command::Keys(args) => keys::run(&common, &args).await.map(|()| ExitCode::SUCCESS),
        tool => interruptible(run_tool(tool, &common)).await.map(|()| ExitCode::SUCCESS),
    }
}

/// What has nothing to tell when it is interrupted.
async fn interruptible<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        // Ctrl-C first: until it is listened for, the signal kills the process and no exit code tells why.
        biased;
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
        done = work => done,
    }
}

async fn run_tool(command: Command, common: &Common) -> Result<(), Failure> {
    match command {
        Command::Up(_) | Command::Serve(_) | Command::Dev(_) | Command::Send(_) | Command::Keys(_) => Ok(()),
        Command::Archive(args) => archive::run(common, &args).await,
        Command::Dlq(args) => dlq::run(common, &args).await,
        Command::Cost(args) => cost::run(common, &args).await,
        Command::Doctor(args) => doctor::run(common, &args).await,
        Command::EndToEnd(args) => e2e::run(common, &args).await,
        Command::Healthcheck(args) => healthcheck::run(common, &args).await,
        Command::Token(args) => token::run(common, &args).await,
        Command::Migrate(args) => migrate::run(common, &args).await,
        Command::Config(args) => config::run(common, &args),
        Command::Openapi(args) => openapi::run(common, &args),
        Command::Completions { shell } => completions::run(shell),
    }
}
