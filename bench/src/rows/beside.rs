//! Healthy callers alone, beside something that may hold them up, and alone once more.
//!
//! The healthy ones are an open loop far below the capacity, so that their slowest answers show what holds them up.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::bench::Bench;
use crate::load::open::{Clients, End, Phase, run as run_open};
use crate::load::{Target, latencies, millis, note};
use crate::server::Server;
use crate::stats::Spread;
use crate::system::pause;

const CLIENTS: Clients = Clients { connections: 512, patience: Duration::from_secs(1) };
/// Between the begin of what may hold them up and measuring.
const SETTLE: Duration = Duration::from_millis(300);

/// Those who are held up, or not.
#[derive(Debug)]
pub(super) struct Healthy {
    pub(super) server: Server,
    pub(super) target: Target,
    pub(super) per_second: f64,
}

/// The p99 of each round in milliseconds.
#[derive(Debug, Default)]
pub(super) struct P99s {
    alone: Vec<f64>,
    pub(super) beside: Vec<f64>,
    again: Vec<f64>,
}

impl Healthy {
    /// Runs all rounds. `begin` starts what may hold the callers up, and `end` ends it.
    pub(super) fn measure<D>(
        &self,
        bench: &mut Bench,
        mut begin: impl FnMut() -> Result<D>,
        mut end: impl FnMut(D) -> Result<()>,
    ) -> Result<P99s> {
        let mut found = P99s::default();
        self.slice(bench.plan.slice)?;
        for round in 1..=bench.plan.rounds {
            let mut merged = [latencies()?, latencies()?, latencies()?];
            for kind in [0, 1, 2, 2, 1, 0] {
                let beside = (kind == 1).then(&mut begin).transpose()?;
                merged[kind].add(self.slice(bench.plan.slice)?)?;
                beside.map(&mut end).transpose()?;
                self.server.forget_output()?;
            }
            let [alone, beside, again] = merged.map(|histogram| millis(&histogram, 0.99));
            bench
                .report
                .note(format_args!("round {round}: p99 {alone} ms alone, {beside} ms beside, {again} ms alone"));
            found.alone.push(alone);
            found.beside.push(beside);
            found.again.push(again);
        }
        Ok(found)
    }

    fn slice(&self, length: Duration) -> Result<Histogram<u64>> {
        at_rate(&self.target, Phase { per_second: self.per_second, length })
    }
}

/// Latencies of requests at a rate. A caller that is not answered 200 has waited for as long as it had patience.
pub(super) fn at_rate(target: &Target, phase: Phase) -> Result<Histogram<u64>> {
    pause(SETTLE);
    let mut histogram = latencies()?;
    for sample in run_open(target, CLIENTS, &[phase])? {
        let answered = sample.end == End::Answered(200);
        note(&mut histogram, if answered { sample.latency } else { CLIENTS.patience });
    }
    Ok(histogram)
}

impl P99s {
    /// Of a round alone, the mean of both.
    pub(super) fn alone(&self) -> Vec<f64> {
        self.alone.iter().zip(&self.again).map(|(one, other)| f64::midpoint(*one, *other)).collect()
    }

    /// Beside by alone.
    pub(super) fn ratio(&self) -> Spread {
        Spread::of(&self.beside.iter().zip(self.alone()).map(|(beside, alone)| beside / alone).collect::<Vec<_>>())
    }

    /// Alone by alone.
    pub(super) fn null(&self) -> Spread {
        Spread::of(&self.alone.iter().zip(&self.again).map(|(one, other)| one / other).collect::<Vec<_>>())
    }
}
