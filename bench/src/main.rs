//! The benchmarks: rows of measurements of the product beside its peers. `bench/run` builds and calls this.
//!
//! `paired` is the method, `rows` what is measured, `load` the clients, `peers` the servers that we wrote to compare
//! with; those of others are in `bench/peers`.

mod aws;
mod bench;
mod cgroup;
mod load;
mod loops;
mod machine;
mod others;
mod paired;
mod peers;
mod postgres;
mod python;
mod report;
mod rows;
mod server;
mod stalls;
mod stats;
mod system;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser, Subcommand};

use bench::Bench;
use paired::Plan;
use report::{Report, progress};
use rows::{ROWS, Row};
use system::Cores;

/// How often a row is measured until the same binary comes out equal to itself.
const ATTEMPTS: usize = 3;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure
    Rows(RowsArgs),
    /// Run a server to compare with
    #[command(subcommand)]
    Peer(peers::Peer),
}

#[derive(Debug, Args)]
struct RowsArgs {
    /// Which rows; all of them when none is named
    rows: Vec<String>,
    /// The binary that is measured
    #[arg(long)]
    keelson: PathBuf,
    /// The example of the crate `backends` that measures the stores of users
    #[arg(long)]
    users_numbers: PathBuf,
    /// The example of the crate `chassis` that measures the codecs of encrypted bodies
    #[arg(long)]
    envelope_numbers: PathBuf,
    /// Python with the packages of the Python peers
    #[arg(long)]
    python: Option<PathBuf>,
    /// The folder `bench` of the repository
    #[arg(long)]
    home: PathBuf,
    /// A folder on a real disk
    #[arg(long)]
    scratch: PathBuf,
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// Seconds
    #[arg(long, default_value_t = 1.0)]
    slice: f64,
    /// Write the table into the README and the raw output beside it
    #[arg(long)]
    write: bool,
    /// Fail when a goal is missed
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Peer(peer) => peers::run(peer).map(|()| ExitCode::SUCCESS),
        Command::Rows(args) => measure(&args),
    };
    outcome.unwrap_or_else(|error| {
        progress(format_args!("bench: {error:#}"));
        ExitCode::FAILURE
    })
}

fn measure(args: &RowsArgs) -> Result<ExitCode> {
    for name in &args.rows {
        let known: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        ensure!(known.contains(&name.as_str()), "there is no row `{name}`; the rows are {}", known.join(", "));
    }
    ensure!(args.rows.is_empty() || !args.write, "--write needs all rows, so that the page holds one run");
    system::check()?;
    let cores = Cores::choose()?;
    let machine = machine::describe(cores, &args.scratch)?;
    cores.take_load_core()?;
    let disk = tempfile::tempdir_in(&args.scratch).context("a folder on the disk")?;
    let logs = tempfile::tempdir_in(machine::memory_folder())?;
    let mut bench = Bench {
        keelson: args.keelson.canonicalize().context("the binary that is measured")?,
        users_numbers: args.users_numbers.canonicalize().context("the program that measures the stores of users")?,
        envelope_numbers: args.envelope_numbers.canonicalize().context("the program that measures the codecs")?,
        own: std::env::current_exe()?,
        python: args.python.clone(),
        peers: args.home.join("peers"),
        disk: disk.path().to_owned(),
        logs: logs.path().to_owned(),
        cores,
        plan: Plan { rounds: args.rounds, slice: Duration::from_secs_f64(args.slice) },
        report: Report::default(),
    };
    for row in ROWS.iter().filter(|row| args.rows.is_empty() || args.rows.iter().any(|name| name == row.name)) {
        measure_row(&mut bench, row);
    }
    finish(args, &bench.report, &machine)
}

/// The null alone decides whether a row is measured again, never what it found.
fn measure_row(bench: &mut Bench, row: &Row) {
    for attempt in 1..=ATTEMPTS {
        bench.report.begin(row.name, row.about);
        if let Err(error) = (row.run)(bench) {
            bench.report.failed(&error);
        }
        if !bench.report.row_is_void() || attempt == ATTEMPTS {
            return;
        }
        bench.report.note(format_args!("void: attempt {} follows", attempt + 1));
        bench.report.forget_row();
    }
}

fn finish(args: &RowsArgs, report: &Report, machine: &str) -> Result<ExitCode> {
    report.write_raw(&args.scratch.join("raw.txt"), machine)?;
    print_table(&report.table());
    if report.has_failed() {
        progress(format_args!("a row failed"));
        return Ok(ExitCode::FAILURE);
    }
    if report.is_void() {
        let advice = "run again when the machine is quiet";
        progress(format_args!("VOID: the same binary against itself did not come out equal; {advice}"));
        return Ok(ExitCode::from(2));
    }
    if args.write {
        let results = args.home.join("results");
        std::fs::create_dir_all(&results)?;
        report.write(&args.home.join("README.md"), &results.join("raw.txt"), machine)?;
    }
    let missed = report.misses();
    if missed > 0 {
        progress(format_args!("{missed} goals are missed"));
    }
    Ok(if args.strict && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn print_table(table: &str) {
    println!("\n{table}");
}
