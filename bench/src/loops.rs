//! Loops of ours that have all cores for themselves while they work: a process for each slice.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::bench::Bench;
use crate::paired::Slice;

/// This program, on the cores of the servers and of the load together.
#[derive(Debug)]
pub(crate) struct OnAllCores {
    program: PathBuf,
    cores: String,
}

impl OnAllCores {
    pub(crate) fn new(bench: &Bench) -> Self {
        Self { program: bench.own.clone(), cores: bench.cores.both() }
    }

    /// One of its peers, which works for so long; what else the peer takes may follow.
    pub(crate) fn command(&self, peer: &str, length: Duration) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &self.cores]).arg(&self.program).args(["peer", peer]);
        command.args(["--seconds", &length.as_secs_f64().to_string()]);
        command
    }
}

/// Runs a loop to its end and reads what it did.
pub(crate) fn run(mut command: Command) -> Result<Slice> {
    let output = command.output()?;
    ensure!(output.status.success(), "the loop failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace();
    let mut next = || numbers.next().context("the loop printed nothing");
    let (done, wall, cpu) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
    let (wall, cpu) = (Duration::from_secs_f64(wall), Duration::from_nanos(cpu));
    Ok(Slice { done, wall, cpu, ..Slice::default() })
}
