//! The `keelson` binary: everything embedded with `up`, chosen services with `serve`, and the tools around them.

mod cli;
mod commands;
mod failure;
mod output;
mod run_file;
mod settings;
mod wire;

use std::process::ExitCode;

use chassis::run::InheritedSockets;
use clap::Parser;

use cli::Cli;
use failure::{Failure, USAGE};
use output::print_error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads for blocking work such as files; what waits beyond them waits in line.
const MAX_BLOCKING_THREADS: usize = 64;

/// Tasks that a thread runs before it looks for those that other threads have woken. The runtime's own choice grows to
/// 127 under load, and whoever waits for the thread of the queue waits behind all that the sockets bring.
const GLOBAL_QUEUE_INTERVAL: u32 = 4;

fn main() -> ExitCode {
    // First, while there is one thread: it changes the environment.
    let inherited = InheritedSockets::from_environment();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap writes help and version to standard output, mistakes to standard error.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(cli, inherited) {
        Ok(code) => code,
        Err(failure) => {
            print_error(&failure.to_string());
            failure.exit_code()
        }
    }
}

fn run(cli: Cli, inherited: InheritedSockets) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .global_queue_interval(GLOBAL_QUEUE_INTERVAL)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("keelson")
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the async runtime: {error}")))?;
    let result = runtime.block_on(commands::dispatch(cli, inherited));
    // Work that was cut off must not hold the process back.
    runtime.shutdown_background();
    result
}
