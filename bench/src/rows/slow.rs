//! Healthy callers beside a thousand connections that say nothing and a thousand that send a byte a second.
//!
//! The healthy ones are an open loop far below the capacity, so that their slowest answers show what holds them up.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use super::get::loaded;
use crate::bench::Bench;
use crate::load::open::{Clients, End, Phase, run as run_open};
use crate::load::slow::Slow;
use crate::load::{Target, latencies, millis, note};
use crate::report::Goal;
use crate::stats::Spread;
use crate::system::pause;

const SILENT: usize = 1000;
const DRIPPING: usize = 1000;
const PER_SECOND: f64 = 2000.0;
const CLIENTS: Clients = Clients { connections: 512, patience: Duration::from_secs(1) };
/// Between opening the slow connections and measuring.
const SETTLE: Duration = Duration::from_millis(300);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let product = bench.serve("slow", "ingest")?;
    let healthy = loaded(&product)?;
    let (mut with, mut nulls) = (Vec::new(), Vec::new());
    slice(&healthy.target, bench.plan.slice, None)?;
    for round in 1..=bench.plan.rounds {
        let mut merged = [latencies()?, latencies()?, latencies()?];
        for kind in [0, 1, 2, 2, 1, 0] {
            let slow = (kind == 1).then(|| Slow::open(healthy.target.address, SILENT, DRIPPING)).transpose()?;
            merged[kind].add(slice(&healthy.target, bench.plan.slice, slow)?)?;
            healthy.server.forget_output()?;
        }
        let [alone, beside, again] = merged.map(|histogram| millis(&histogram, 0.99));
        bench
            .report
            .note(format_args!("round {round}: p99 {alone} ms alone, {beside} ms beside slow ones, {again} ms alone"));
        with.push(beside * 2.0 / (alone + again));
        nulls.push(alone / again);
    }
    bench.report.info("null: p99 alone by p99 alone", Spread::of(&nulls));
    let ratio = Spread::of(&with);
    let what = "p99 beside 2,000 slow connections by p99 alone";
    bench.report.judged(what, ratio.median, ratio, Goal::AtMost(2.0, None));
    Ok(())
}

/// Latencies of the healthy callers. One that is not answered 200 has waited for as long as it had patience.
fn slice(target: &Target, length: Duration, slow: Option<Slow>) -> Result<Histogram<u64>> {
    pause(SETTLE);
    let mut histogram = latencies()?;
    for sample in run_open(target, CLIENTS, &[Phase { per_second: PER_SECOND, length }])? {
        let answered = sample.end == End::Answered(200);
        note(&mut histogram, if answered { sample.latency } else { CLIENTS.patience });
    }
    drop(slow);
    Ok(histogram)
}
