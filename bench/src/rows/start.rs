//! From the start of the process to the first 200 of `/health/ready`, which waits for every service and its stores.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::{Bench, remove};
use crate::load::{get, once};
use crate::report::Goal;
use crate::stats::{Spread, short};
use crate::system::pause;

const STARTS: usize = 20;
const POLL: Duration = Duration::from_micros(500);
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let again = starts(bench, false)?;
    let spread = Spread::of(&again);
    let goal = Goal::AtMost(50.0, Some(20.0));
    bench.report.judged("start to first 200, p50", spread.median, format_args!("{} ms", short(spread.median)), goal);
    bench.report.info("the slowest of 20", format_args!("{} ms", short(slowest(&again))));
    let fresh = starts(bench, true)?;
    let spread = Spread::of(&fresh);
    let what = "the same with a new data folder, p50";
    bench.report.judged(what, spread.median, format_args!("{} ms", short(spread.median)), goal);
    Ok(())
}

fn slowest(times: &[f64]) -> f64 {
    times.iter().copied().fold(0.0, f64::max)
}

/// Milliseconds of each start of the whole system, on both cores.
fn starts(bench: &mut Bench, fresh: bool) -> Result<Vec<f64>> {
    let mut product = bench.up("start")?;
    product.launch.cores = bench.cores.both();
    if !fresh {
        drop(product.start()?);
    }
    let mut times = Vec::new();
    for _ in 0..STARTS {
        if fresh {
            remove(&product.data)?;
        }
        let begun = Instant::now();
        let server = product.launch.spawn()?;
        while !once::ask(product.public, &get("/health/ready", None)).is_ok_and(|answer| answer.status == 200) {
            ensure!(begun.elapsed() < PATIENCE, "not ready after {PATIENCE:?}");
            pause(POLL);
        }
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        server.stop()?;
    }
    bench.report.note(format_args!("new folder {fresh}: {times:.1?} ms"));
    Ok(times)
}
