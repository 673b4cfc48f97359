//! What log, metrics and ids cost.
//!
//! The product has no switch for all three, and gets none for a benchmark's sake. So it is measured from two sides: a
//! bare hyper with the same telemetry calls of the chassis around its handler, less the bare one, is what telemetry
//! costs; set against a full request less that, it is telemetry on against off. And the access line alone can be
//! turned off in the product, by LOG_LEVEL.

use anyhow::Result;

use super::get::{bare, loaded};
use crate::bench::Bench;
use crate::paired::{self, Slice};
use crate::report::Goal;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let product = bench.serve("keelson", "ingest")?;
    let mut keelson = loaded(&product)?;
    let mut twin = loaded(&bench.serve("twin", "ingest")?)?;
    let mut quiet = loaded(&bench.serve("quiet", "ingest")?.env("LOG_LEVEL", "CRITICAL"))?;
    let mut plain = bare(bench, &product, "bare hyper", &[])?;
    let mut observed = bare(bench, &product, "observed hyper", &["--telemetry"])?;
    let mut all: [&mut dyn paired::Contestant; 5] = [&mut keelson, &mut twin, &mut quiet, &mut plain, &mut observed];
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("request", &mut bench.report);
    let cpu = Slice::cpu_each;
    if !rounds.check_null(["keelson", "twin"], "CPU", cpu, &mut bench.report)? {
        return Ok(());
    }
    let share = rounds.combine(["keelson", "bare hyper", "observed hyper"], |[keelson, plain, observed]| {
        let telemetry = cpu(&observed) - cpu(&plain);
        100.0 * telemetry / (cpu(&keelson) - telemetry)
    });
    bench.report.judged("log, metrics and ids, % CPU on top", share.median, share, Goal::AtMost(8.0, None));
    let line = rounds.combine(["keelson", "quiet"], |[keelson, quiet]| 100.0 * (cpu(&keelson) / cpu(&quiet) - 1.0));
    bench.report.info("of it the access line, by LOG_LEVEL, % CPU on top", line);
    Ok(())
}
