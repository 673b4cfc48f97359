//! Healthy callers beside a thousand connections that say nothing and a thousand that send a byte a second.

use anyhow::Result;

use super::beside::Healthy;
use super::get::loaded;
use crate::bench::Bench;
use crate::load::slow::Slow;
use crate::report::Goal;

const SILENT: usize = 1000;
const DRIPPING: usize = 1000;
const PER_SECOND: f64 = 2000.0;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let product = bench.serve("slow", "ingest")?;
    let loaded = loaded(&product)?;
    let address = loaded.target.address;
    let healthy = Healthy { server: loaded.server, target: loaded.target, per_second: PER_SECOND };
    let found = healthy.measure(
        bench,
        || Slow::open(address, SILENT, DRIPPING),
        |slow| {
            drop(slow);
            Ok(())
        },
    )?;
    bench.report.info("null: p99 alone by p99 alone", found.null());
    let ratio = found.ratio();
    let what = "p99 beside 2,000 slow connections by p99 alone";
    bench.report.judged(what, ratio.median, ratio, Goal::AtMost(2.0, None));
    Ok(())
}
