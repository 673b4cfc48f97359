//! `keelson completions`: for bash, zsh, fish and others.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::print;

/// Prints the script.
pub(crate) fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "keelson", &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(())
}
