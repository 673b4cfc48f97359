//! The stores of users without an edge around them: on PostgreSQL against pgbench, and in a file against a commit for each
//! row.
//!
//! An example of the crate of the stores measures them, since they are reached by its code alone. It prints what it finds in
//! each round.

use std::process::Command;

use anyhow::{Result, ensure};

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
        let rounds: Vec<_> = text.lines().filter_map(read).filter(|round| round.what.starts_with(what)).collect();
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

/// How often something was done in a second of one round.
#[derive(Debug, PartialEq)]
struct Round<'a> {
    what: &'a str,
    ours: f64,
    theirs: f64,
}

/// Lines such as `find, callers: 64: 100/s, beside 50/s`. Those that sum up begin with an arrow.
fn read(line: &str) -> Option<Round<'_>> {
    let (what, rates) = line.rsplit_once(": ")?;
    let (ours, theirs) = rates.strip_suffix("/s")?.split_once("/s, beside ")?;
    let (ours, theirs) = (ours.parse().ok()?, theirs.parse().ok()?);
    (!what.starts_with("-> ")).then_some(Round { what, ours, theirs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_read_and_what_sums_them_up_is_not() {
        let round = Round { what: "find, callers: 64", ours: 100.0, theirs: 50.0 };
        assert_eq!(read("find, callers: 64: 100/s, beside 50/s"), Some(round));
        for other in [
            "-> find, callers: 64: 100/s, beside 50/s",
            "| find, callers: 64 | 100/s, beside 50/s | | |",
            "-> find, callers: 1: 100/s",
            "-> server: PostgreSQL 15",
            "",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
