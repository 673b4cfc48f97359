//! The stores of users without an edge around them: on PostgreSQL against pgbench, and in a file against a commit for each
//! row.
//!
//! An example of the crate of the stores measures them, since they are reached by its code alone. It prints what it finds in
//! each round.

use std::process::Command;

use anyhow::{Result, ensure};

use super::rounds::{Round, rounds};
use crate::bench::Bench;
use crate::report::Goal;
use crate::stats::{Spread, median};

/// At once: as many callers as connections of pgbench.
const CALLERS: &str = "64";
const SERVER: &str = "-> server: ";

pub(super) fn postgres(bench: &mut Bench) -> Result<()> {
    let goals = [("find", Goal::AtLeast(0.8, Some(1.0))), ("create", Goal::AtLeast(0.8, Some(3.0)))];
    run(bench, "postgres", "pgbench -M prepared", &goals)
}

pub(super) fn sqlite(bench: &mut Bench) -> Result<()> {
    run(bench, "sqlite", "one commit for each row", &[("create", Goal::AtLeast(5.0, None))])
}

fn run(bench: &mut Bench, store: &str, peer: &str, goals: &[(&str, Goal)]) -> Result<()> {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &bench.cores.both()]).arg(&bench.users_numbers).args([store, "--callers", CALLERS]);
    let output = command.args(["--rounds", &bench.plan.rounds.to_string()]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    text.lines().for_each(|line| bench.report.note(format_args!("{line}")));
    if let Some(server) = text.lines().find_map(|line| line.strip_prefix(SERVER)) {
        bench.report.info("server", server);
    }
    for &(what, goal) in goals {
        let rounds = rounds(&text, what);
        if rounds.is_empty() {
            bench.report.skip(what, "no PostgreSQL with pgbench: install the package postgresql");
            continue;
        }
        let [ours, theirs] =
            [|it: &Round<'_>| it.ours, |it: &Round<'_>| it.theirs].map(|of| median(rounds.iter().map(of)));
        bench.report.info(&format!("{what}, {CALLERS} callers"), format_args!("{ours:.0}/s, {peer} {theirs:.0}/s"));
        let ratio = Spread::of(&rounds.iter().map(|round| round.ours / round.theirs).collect::<Vec<_>>());
        bench.report.judged(&format!("{what}, by those of {peer}"), ratio.median, ratio, goal);
    }
    Ok(())
}
