//! Measures the stores of users on this machine's disk (`TMPDIR`), and starts what they need:
//!
//! ```text
//! cargo run --release -p backends --example users_numbers -- postgres    finds and creates, and pgbench beside them
//! cargo run --release -p backends --example users_numbers -- sqlite      creates, and a commit for each row beside them
//! ```
//!
//! What is compared runs in turns, and a ratio is one within a round. `--rounds N` changes how often; `--callers N` leaves
//! out other numbers of callers; `--strict` fails when a goal is missed.
#![expect(clippy::print_stdout, reason = "the table is its result")]

mod load;
mod pgbench;
#[path = "../queue_numbers/postgres.rs"]
#[expect(dead_code, reason = "what the numbers of the queue need beside")]
mod postgres;
mod sqlite;
#[path = "../queue_numbers/table.rs"]
mod table;

use std::process::ExitCode;

use self::table::{Spread, Table};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: usize,
    strict: bool,
    /// All numbers of callers where none is named.
    callers: Option<usize>,
}

impl Plan {
    fn has(&self, callers: usize) -> bool {
        self.callers.is_none_or(|only| only == callers)
    }
}

fn main() -> Outcome<ExitCode> {
    let mut args = std::env::args().skip(1);
    let what = args.next().ok_or("what is to be measured: postgres or sqlite?")?;
    let plan = plan(args)?;
    let mut table = Table::default();
    match what.as_str() {
        "postgres" => pgbench::measure(plan, &mut table)?,
        "sqlite" => sqlite::measure(plan, &mut table)?,
        other => return Err(format!("unknown store `{other}`; the known ones are `postgres` and `sqlite`").into()),
    }
    println!("\n{table}");
    Ok(if plan.strict && table.has_misses() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn plan(mut args: impl Iterator<Item = String>) -> Outcome<Plan> {
    let mut plan = Plan { rounds: 8, strict: false, callers: None };
    while let Some(name) = args.next() {
        match name.as_str() {
            "--rounds" => plan.rounds = args.next().ok_or("--rounds needs a number")?.parse()?,
            "--callers" => plan.callers = Some(args.next().ok_or("--callers needs a number")?.parse()?),
            "--strict" => plan.strict = true,
            _ => return Err(format!("unknown argument {name}; see the head of main.rs").into()),
        }
    }
    Ok(plan)
}

/// Ours and theirs in turns, by what they did in a second; where ours is to be so many times as fast, that is judged.
fn compare(
    (what, goal): (&str, Option<f64>),
    plan: Plan,
    table: &mut Table,
    mut ours: impl FnMut() -> Outcome<f64>,
    mut theirs: impl FnMut() -> Outcome<f64>,
) -> Outcome<()> {
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let (own, other) = if number % 2 == 0 {
            let own = ours()?;
            (own, theirs()?)
        } else {
            let other = theirs()?;
            (ours()?, other)
        };
        println!("{what}: {own:.0}/s, beside {other:.0}/s");
        rounds.push((own, other));
    }
    let own = Spread::of(rounds.iter().map(|round| round.0)).median;
    let other = Spread::of(rounds.iter().map(|round| round.1)).median;
    table.info(what, format!("{own:.0}/s, beside {other:.0}/s"));
    let ratio = Spread::of(rounds.iter().map(|(own, other)| own / other));
    match goal {
        Some(goal) => table.judged(&format!("{what}, ratio"), ratio.median, ratio, goal),
        None => table.info(&format!("{what}, ratio"), ratio),
    }
    Ok(())
}
