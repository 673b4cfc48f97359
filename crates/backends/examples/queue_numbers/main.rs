//! Measures a queue on this machine's disk (`TMPDIR`), and starts what it needs:
//!
//! ```text
//! cargo run --release -p backends --example queue_numbers -- postgres    the queue on PostgreSQL, and pgbench beside it
//! cargo run --release -p backends --example queue_numbers -- sqlite      the embedded queue
//! ```
//!
//! How fast a queue of a million messages is received, and in how much memory, beside one that is all but empty, in
//! turns (`depth`); and how fast is sent (`sending`). Each queue is open in a process of its own (`worker`, `side`).
//! `--messages N` makes the long queue another length, `--rounds N` changes how often; `--strict` fails when a goal is
//! missed.
#![expect(clippy::print_stdout, reason = "the table is its result")]

mod depth;
mod memory;
mod pgbench;
mod postgres;
mod sending;
mod side;
mod table;
mod worker;

use std::process::ExitCode;

use self::depth::Depth;
use self::postgres::Postgres;
use self::side::Side;
use self::table::Table;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Of the long queue.
    messages: usize,
    rounds: usize,
    strict: bool,
}

fn main() -> Outcome<ExitCode> {
    let mut args = std::env::args().skip(1);
    let what = args.next().ok_or("what is to be measured: postgres or sqlite?")?;
    if what == worker::COMMAND {
        worker::run(&args.next().ok_or("the queue's URL is missing")?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let plan = plan(args)?;
    let mut table = Table::default();
    match what.as_str() {
        "postgres" => postgres(plan, &mut table)?,
        "sqlite" => sqlite(plan, &mut table)?,
        other => return Err(format!("unknown queue `{other}`; the known ones are `postgres` and `sqlite`").into()),
    }
    println!("\n{table}");
    Ok(if plan.strict && table.has_misses() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn plan(mut args: impl Iterator<Item = String>) -> Outcome<Plan> {
    let mut plan = Plan { messages: 1_000_000, rounds: 8, strict: false };
    while let Some(name) = args.next() {
        let mut number = || {
            args.next().ok_or(format!("{name} needs a number"))?.parse().map_err(|_| format!("{name} needs a number"))
        };
        match name.as_str() {
            "--messages" => plan.messages = number()?,
            "--rounds" => plan.rounds = number()?,
            "--strict" => plan.strict = true,
            _ => return Err(format!("unknown argument {name}; see the head of main.rs").into()),
        }
    }
    Ok(plan)
}

fn postgres(plan: Plan, table: &mut Table) -> Outcome<()> {
    let Some(postgres) = Postgres::start()? else { return Ok(()) };
    table.info("server", postgres.describe()?);
    pgbench::measure(&postgres, plan, table)?;
    let side = |name| Side::start(name, &postgres.create_database(name)?);
    let mut depth = Depth::fill([side("empty")?, side("twin")?, side("long")?], plan)?;
    for side in &depth.sides {
        postgres.settle(side.name)?;
    }
    depth.measure_rates(table)?;
    depth.measure_memory(table)?;
    let of_server = |side: &Side| memory::sum(&postgres.backends(side.name)?, memory::OWN);
    depth.compare_memory("memory of the server's processes for it", of_server, table)?;
    depth.measure_whole(table)
}

fn sqlite(plan: Plan, table: &mut Table) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let side = |name| Side::start(name, &format!("sqlite:{}", folder.path().join(name).display()));
    sending::measure(&mut side("sends")?, table)?;
    let mut depth = Depth::fill([side("empty")?, side("twin")?, side("long")?], plan)?;
    depth.measure_rates(table)?;
    depth.measure_memory(table)?;
    depth.measure_whole(table)
}
