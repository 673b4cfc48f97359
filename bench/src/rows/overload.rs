//! More than a service can do: an open loop at five times its capacity, from clients that give up after a second.
//!
//! Once with a handler that waits for something slow, once with the real ingest, which needs all of its core, and once
//! with ingest under a quota of processor time, under which it stands still for 80 of each 100 milliseconds.
//! Good is a 200 within the second. The peak is what a closed loop gets in the same run; before and after the overload
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
use crate::stats::{median, quantile, short};
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
/// Between the peak and the calm.
const SETTLE: Duration = Duration::from_secs(1);
/// Percent of a core for ingest.
const QUOTA: u32 = 20;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
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
    let peak = peak(target)?;
    let calm = Phase { per_second: peak * CALM, length: CALM_LENGTH };
    let overload = Phase { per_second: peak * OVERLOAD, length: OVERLOAD_LENGTH };
    bench.report.note(format_args!("{name}: peak {peak:.0}/s, overload {:.0}/s", overload.per_second));
    let probe = Probe::start(probed);
    let mut samples = run_open(target, CLIENTS, &[calm, overload, calm])?;
    samples.sort_by_key(|sample| sample.due);
    let (slowest, failed) = probe.stop().context("the probe panicked")?;
    let [before, during, after] = split(&samples);
    for (when, samples) in [("before", before), ("during", during), ("after", after)] {
        bench.report.note(format_args!("{name}, {when}: {}", tally(samples)));
    }

    let (report, goals) = (&mut bench.report, limit.goals());
    let good = millis(during, is_good);
    let goodput = good.len() as f64 / OVERLOAD_LENGTH.as_secs_f64() / peak;
    let p50 = short(quantile(&good, 0.5));
    let shown = format!("{} of the peak of {peak:.0}/s, p50 {p50} ms", short(goodput));
    row(report, &format!("{name}: goodput at 5× capacity"), (goodput, shown), goals.goodput);
    let recovery = recovery(before, after);
    let shown = if recovery.is_finite() { format!("{} s", short(recovery)) } else { "not in 3 s".to_owned() };
    row(report, &format!("{name}: recovery"), (recovery, shown), goals.recovery);
    let refused = millis(during, |end| matches!(end, End::Answered(503)));
    let p99 = quantile(&refused, 0.99);
    if refused.is_empty() {
        report.info(&format!("{name}: 503s"), "none: nothing is shed");
    } else {
        let shown = format!("{} ms, {} of them", short(p99), refused.len());
        row(report, &format!("{name}: 503s, p99"), (p99, shown), goals.refusal);
    }
    let [health, metrics] = slowest.map(short);
    let shown = format!("{health} ms and {metrics} ms, {failed} not answered 200");
    report.info(&format!("{name}: /health and /metrics meanwhile, slowest"), shown);
    Ok(())
}

/// The best that closed loops get. One with more connections than the service works on at once is refused, and ends.
fn peak(target: &Target) -> Result<f64> {
    let mut best = 0.0_f64;
    for connections in [8, 32, 128, 512] {
        let mut load = Closed::connect(target, connections)?;
        let warm = load.run(Until::Over(Duration::from_millis(200)));
        let Ok(answers) = warm.and_then(|_| load.run(Until::Over(PEAK_LENGTH))) else { break };
        best = best.max(answers.count as f64 / answers.took.as_secs_f64());
    }
    // What the last loop left behind is not part of the calm.
    pause(SETTLE);
    ensure!(best > 0.0, "{} does not answer even a few at once", target.address);
    Ok(best)
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
fn recovery(before: &[Sample], after: &[Sample]) -> f64 {
    let limit = 2.0 * median(millis(before, is_good));
    let ended = CALM_LENGTH + OVERLOAD_LENGTH;
    for number in 0..u32::try_from(CALM_LENGTH.as_millis() / WINDOW.as_millis()).unwrap_or(0) {
        let (from, to) = (ended + WINDOW * number, ended + WINDOW * (number + 1));
        let window: Vec<_> = after.iter().filter(|sample| sample.due >= from && sample.due < to).copied().collect();
        let all_good = !window.is_empty() && window.iter().all(|sample| is_good(sample.end));
        if all_good && median(millis(&window, is_good)) <= limit {
            return (WINDOW * number).as_secs_f64();
        }
    }
    f64::INFINITY
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
        assert_eq!(recovery(&before, &after), f64::INFINITY);
        after.push(sample(ended + WINDOW * 3, 20, good));
        assert_eq!(recovery(&before, &after), 0.3);
        assert_eq!(split(&after).map(<[_]>::len), [0, 0, 4]);
    }
}
