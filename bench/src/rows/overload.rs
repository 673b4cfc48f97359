//! More than a service can do: an open loop at five times its capacity, from clients that give up after a second.
//!
//! Once with a handler that waits for something slow, once with the real ingest, which needs all of its core, and once
//! with ingest under a quota of processor time, under which it stands still for 80 of each 100 milliseconds.
//! Good is a 200 within the second. The peak is what a closed loop gets just before and after; between it and the overload
//! comes half of it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::ingest;
use crate::bench::Bench;
use crate::cgroup::Quota;
use crate::load::closed::{Closed, Until};
use crate::load::open::{Clients, End, Phase, Sample, run as run_open};
use crate::load::probe::Probe;
use crate::load::{Target, get};
use crate::report::{Goal, Report};
use crate::stalls::Stalls;
use crate::stats::{Spread, median, quantile, short};
use crate::system::pause;

/// Connections of all clients together.
const CLIENTS: Clients = Clients { connections: 4096, patience: Duration::from_secs(1) };
const OVERLOAD: f64 = 5.0;
/// Of the peak, before and after.
const CALM: f64 = 0.5;
const CALM_LENGTH: Duration = Duration::from_secs(3);
const OVERLOAD_LENGTH: Duration = Duration::from_secs(10);
/// One closed loop of those that find the peak: many periods of a quota.
const PEAK_LENGTH: Duration = Duration::from_secs(3);
/// Time in which latency is looked at.
const WINDOW: Duration = Duration::from_millis(100);
/// Between a peak, a calm and the next peak.
const SETTLE: Duration = Duration::from_secs(1);
/// Overloads of each service.
const ROUNDS: u32 = 3;
/// Seconds, more than any recovery that can be seen.
const NOT_RECOVERED: f64 = 4.0;
/// Percent of a core for ingest.
const QUOTA: u32 = 20;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let stalls = Stalls::of(bench.cores.server)?.to_string();
    bench.report.info("null: wait for the server's core while it is idle, p99 and longest", stalls);
    let (launch, address) = bench.peer("limited", &["limited"])?;
    let server = launch.start()?;
    let target = Target::new(address, get("/work", None))?;
    measure(bench, ("waiting handler", Limit::Handler), &target, [address, address])?;
    server.stop()?;

    let product = bench.serve("overload", "ingest")?;
    let loaded = ingest::loaded(&product)?;
    let name = ("ingest on one core", Limit::Processor);
    measure(bench, name, &loaded.target, [product.public, product.internal])?;
    loaded.server.stop()?;

    let Some(quota) = Quota::new(QUOTA) else {
        bench.report.skip("ingest under a quota", "no control group can be made here: run as root");
        return Ok(());
    };
    let loaded = ingest::loaded(&product)?;
    quota.hold(loaded.server.pid())?;
    let name = ("ingest on a fifth of a core", Limit::Quota);
    measure(bench, name, &loaded.target, [product.public, product.internal])?;
    loaded.server.stop()?;
    Ok(())
}

/// What a service has too little of.
#[derive(Debug, Clone, Copy)]
enum Limit {
    Handler,
    /// Requests wait unread, so what a refused one waits says nothing.
    Processor,
    /// The same, and the process stands still most of the time: shown, and no goal.
    Quota,
}

impl Limit {
    fn goals(self) -> Goals {
        let all = Goals {
            goodput: Some(Goal::AtLeast(0.8, Some(0.9))),
            recovery: Some(Goal::AtMost(2.0, None)),
            refusal: Some(Goal::AtMost(5.0, None)),
        };
        match self {
            Self::Handler => all,
            Self::Processor => Goals { refusal: None, ..all },
            Self::Quota => Goals::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Goals {
    goodput: Option<Goal>,
    recovery: Option<Goal>,
    refusal: Option<Goal>,
}

fn row(report: &mut Report, what: &str, (value, shown): (f64, String), goal: Option<Goal>) {
    match goal {
        Some(goal) => report.judged(what, value, shown, goal),
        None => report.info(what, shown),
    }
}

/// `probed` are where `/health` and `/metrics` are asked.
fn measure(bench: &mut Bench, (name, limit): (&str, Limit), target: &Target, probed: [SocketAddr; 2]) -> Result<()> {
    let connections = best_number(target)?;
    let probe = Probe::start(probed);
    let rounds =
        (0..ROUNDS).map(|_| round(target, connections, name, &mut bench.report)).collect::<Result<Vec<_>>>()?;
    let (slowest, failed) = probe.stop().context("the probe panicked")?;

    let (report, goals) = (&mut bench.report, limit.goals());
    let of_rounds = |value: fn(&Round) -> f64| Spread::of(&rounds.iter().map(value).collect::<Vec<_>>());
    let (goodput, peak) = (of_rounds(|round| round.goodput), of_rounds(|round| round.peak).median);
    let p50 = short(of_rounds(|round| round.p50).median);
    let shown = format!("{goodput} of the peak of {peak:.0}/s, p50 {p50} ms");
    row(report, &format!("{name}: goodput at 5× capacity"), (goodput.median, shown), goals.goodput);
    let recovery = of_rounds(|round| round.recovery.unwrap_or(NOT_RECOVERED)).median;
    let shown = if recovery < NOT_RECOVERED { format!("{} s", short(recovery)) } else { "not in 3 s".to_owned() };
    row(report, &format!("{name}: recovery"), (recovery, shown), goals.recovery);
    let refused: Vec<_> = rounds.iter().filter_map(|round| round.refused).collect();
    let times = |quantile: fn(&Refused) -> f64| Spread::of(&refused.iter().map(quantile).collect::<Vec<_>>());
    if refused.is_empty() {
        report.info(&format!("{name}: 503s"), "none: nothing is shed");
    } else {
        let (p50, p99) = (times(|refused| refused.p50).median, times(|refused| refused.p99));
        let count: usize = refused.iter().map(|refused| refused.count).sum();
        let shown = format!("{p99} ms, {count} of them, p50 {} ms", short(p50));
        row(report, &format!("{name}: 503s, p99"), (p99.median, shown), goals.refusal);
    }
    let [health, metrics] = slowest.map(short);
    let shown = format!("{health} ms and {metrics} ms, {failed} not answered 200");
    report.info(&format!("{name}: /health and /metrics meanwhile, slowest"), shown);
    Ok(())
}

/// What one overload did.
struct Round {
    /// The mean of the peaks before and after it, a second.
    peak: f64,
    /// By the peak.
    goodput: f64,
    /// Milliseconds of what was good.
    p50: f64,
    /// Seconds; none where the calm after it was too short.
    recovery: Option<f64>,
    refused: Option<Refused>,
}

/// 503s: how many, and the milliseconds until they came.
#[derive(Clone, Copy)]
struct Refused {
    count: usize,
    p50: f64,
    p99: f64,
}

/// The peaks on both sides cancel what drifts, and the rates of the open loop come from the one before.
fn round(target: &Target, connections: usize, name: &str, report: &mut Report) -> Result<Round> {
    let before = peak(target, connections)?;
    let calm = Phase { per_second: before * CALM, length: CALM_LENGTH };
    let overload = Phase { per_second: before * OVERLOAD, length: OVERLOAD_LENGTH };
    let mut samples = run_open(target, CLIENTS, &[calm, overload, calm])?;
    pause(SETTLE);
    let after = peak(target, connections)?;
    report.note(format_args!("{name}: peak {before:.0}/s before and {after:.0}/s after {:.0}/s", overload.per_second));
    samples.sort_by_key(|sample| sample.due);
    let [calm_before, during, calm_after] = split(&samples);
    for (when, samples) in [("before", calm_before), ("during", during), ("after", calm_after)] {
        report.note(format_args!("{name}, {when}: {}", tally(samples)));
    }
    let (good, peak) = (millis(during, is_good), f64::midpoint(before, after));
    let refused = millis(during, |end| matches!(end, End::Answered(503)));
    let of_refused = Refused { count: refused.len(), p50: quantile(&refused, 0.5), p99: quantile(&refused, 0.99) };
    Ok(Round {
        peak,
        goodput: good.len() as f64 / OVERLOAD_LENGTH.as_secs_f64() / peak,
        p50: quantile(&good, 0.5),
        recovery: recovery(calm_before, calm_after),
        refused: (!refused.is_empty()).then_some(of_refused),
    })
}

/// How many connections of a closed loop get most. A loop with more than the service works on at once is refused, and
/// ends.
fn best_number(target: &Target) -> Result<usize> {
    let mut best = (0.0_f64, 0);
    for connections in [8, 32, 128, 512] {
        let Ok(peak) = peak(target, connections) else { break };
        best = if peak > best.0 { (peak, connections) } else { best };
    }
    ensure!(best.1 > 0, "{} does not answer even a few at once", target.address);
    Ok(best.1)
}

/// What so many connections get in a second.
fn peak(target: &Target, connections: usize) -> Result<f64> {
    let mut load = Closed::connect(target, connections)?;
    load.run(Until::Over(Duration::from_millis(200)))?;
    let answers = load.run(Until::Over(PEAK_LENGTH))?;
    drop(load);
    // What the loop left behind is not part of what comes next.
    pause(SETTLE);
    Ok(answers.count as f64 / answers.took.as_secs_f64())
}

/// By when requests were due; `samples` are in that order.
fn split(samples: &[Sample]) -> [&[Sample]; 3] {
    let (before, rest) = samples.split_at(samples.partition_point(|sample| sample.due < CALM_LENGTH));
    let overload_ends = CALM_LENGTH + OVERLOAD_LENGTH;
    let (during, after) = rest.split_at(rest.partition_point(|sample| sample.due < overload_ends));
    [before, during, after]
}

/// Milliseconds of the requests that ended so, in growing order.
fn millis(samples: &[Sample], ended: impl Fn(End) -> bool) -> Vec<f64> {
    let ended = samples.iter().filter(|sample| ended(sample.end));
    let mut millis: Vec<_> = ended.map(|sample| sample.latency.as_secs_f64() * 1000.0).collect();
    millis.sort_by(f64::total_cmp);
    millis
}

fn is_good(end: End) -> bool {
    end == End::Answered(200)
}

/// Seconds after the overload until a whole window is all good and at most twice as slow as before.
fn recovery(before: &[Sample], after: &[Sample]) -> Option<f64> {
    let limit = 2.0 * median(millis(before, is_good));
    let ended = CALM_LENGTH + OVERLOAD_LENGTH;
    for number in 0..u32::try_from(CALM_LENGTH.as_millis() / WINDOW.as_millis()).unwrap_or(0) {
        let (from, to) = (ended + WINDOW * number, ended + WINDOW * (number + 1));
        let window: Vec<_> = after.iter().filter(|sample| sample.due >= from && sample.due < to).copied().collect();
        let all_good = !window.is_empty() && window.iter().all(|sample| is_good(sample.end));
        if all_good && median(millis(&window, is_good)) <= limit {
            return Some((WINDOW * number).as_secs_f64());
        }
    }
    None
}

/// How many requests ended in which way.
fn tally(samples: &[Sample]) -> String {
    let good = millis(samples, is_good);
    let count = |ended: fn(End) -> bool| samples.iter().filter(|sample| ended(sample.end)).count();
    format!(
        "{} good (p50 {} ms, p99 {} ms), {} shed, {} other answers, {} given up, {} broken, {} not sent",
        good.len(),
        short(quantile(&good, 0.5)),
        short(quantile(&good, 0.99)),
        count(|end| end == End::Answered(503)),
        count(|end| matches!(end, End::Answered(status) if status != 200 && status != 503)),
        count(|end| end == End::GaveUp),
        count(|end| end == End::Broken),
        count(|end| end == End::NotSent),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(due: Duration, millis: u64, end: End) -> Sample {
        Sample { due, latency: Duration::from_millis(millis), end }
    }

    #[test]
    fn recovered_is_the_first_window_that_is_all_good_and_fast() {
        let ended = CALM_LENGTH + OVERLOAD_LENGTH;
        let before = [sample(Duration::ZERO, 10, End::Answered(200))];
        let good = End::Answered(200);
        let mut after = vec![sample(ended, 500, good), sample(ended + WINDOW, 10, good)];
        after.push(sample(ended + WINDOW + WINDOW / 2, 10, End::Answered(503)));
        assert_eq!(recovery(&before, &after), None);
        after.push(sample(ended + WINDOW * 3, 20, good));
        assert_eq!(recovery(&before, &after), Some(0.3));
        assert_eq!(split(&after).map(<[_]>::len), [0, 0, 4]);
    }
}
