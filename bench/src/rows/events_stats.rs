//! Statistics over a million events in a file: how long one caller waits, whether many wait longer, and what the
//! process has in memory for them.
//!
//! The product makes the tables, this program fills them, and the product starts again. It is not told where users is,
//! so that what is measured is the counting alone.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::month::{self, Asked, EVENTS};
use crate::bench::{API_TOKEN, Bench};
use crate::load::closed::{Closed, Until};
use crate::load::{Target, get, millis, once};
use crate::report::Goal;
use crate::server::Server;
use crate::stats::{Spread, short};
use crate::system::{Memory, settle_disk};

const NAME: &str = "events-stats";
const STATISTICS: &str = "/api/v1/analytics/stats";
/// At once.
const CALLERS: usize = 64;
/// Of one caller, for each filter.
const REQUESTS: u64 = 20;
/// A count may take a tenth of a usual slice, and a median needs several.
const LONGER: u32 = 3;
const MIB: f64 = 1024.0 * 1024.0;

/// Analytics with its events, and who asks it.
struct Counting {
    server: Server,
    address: SocketAddr,
    token: String,
}

/// Medians of each round in milliseconds: of one caller, of many at once, and of one again.
#[derive(Debug, Default)]
struct Medians {
    alone: Vec<f64>,
    together: Vec<f64>,
    again: Vec<f64>,
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let outcome = measure(bench);
    // Some hundreds of megabytes.
    bench.fresh(NAME)?;
    outcome
}

fn measure(bench: &mut Bench) -> Result<()> {
    let counting = Counting::start(bench)?;
    let pid = counting.server.pid();
    let before = Memory::of(pid)?.resident;
    let all = counting.time(bench, &Asked::all())?;
    let of_user = counting.time(bench, &Asked::of_user(0))?;
    counting.time(bench, &Asked::of_type_and_days())?;
    let medians = counting.rounds(bench, &all)?;
    medians.report(bench);
    counting.many_filters(bench, of_user)?;
    memory(bench, pid, before)
}

impl Counting {
    fn start(bench: &mut Bench) -> Result<Self> {
        bench.fresh(NAME)?;
        let product = bench.serve(NAME, "analytics")?.env("JWT_SECRET_KEY", API_TOKEN);
        let status = product.start()?.stop()?;
        ensure!(status.success(), "analytics ended with {status}");
        bench.report.note(format_args!("writing {EVENTS} events"));
        month::fill(&product.data.join("events.db"), EVENTS)?;
        settle_disk();
        let token = bench.token("bench", &["analytics:read"])?;
        Ok(Self { server: product.start()?, address: product.public, token })
    }

    fn request(&self, asked: &Asked) -> Vec<u8> {
        get(&format!("{STATISTICS}{}", asked.query), Some(&self.token))
    }

    /// Reports how long one caller waits, and looks whether the count is right. Answers the median in milliseconds, and
    /// what was asked.
    fn time(&self, bench: &mut Bench, asked: &Asked) -> Result<(f64, Target)> {
        let request = self.request(asked);
        let first = once::ask(self.address, &request)?;
        ensure!(first.status == 200, "statistics were answered {}: {}", first.status, first.text());
        let body: Value = serde_json::from_slice(&first.body)?;
        let counted = body["data"]["total_events"].as_u64().context("statistics without a total")?;
        ensure!(counted == asked.events, "{counted} events with {}, not {}", asked.what, asked.events);
        let target = Target::new(self.address, request)?;
        let mut load = Closed::connect(&target, 1)?;
        let latency = load.run(Until::Answers(REQUESTS))?.latency;
        load.finish()?;
        let (p50, slowest) = (millis(&latency, 0.5), millis(&latency, 1.0));
        let first = first.latency.as_secs_f64() * 1000.0;
        let what = format!("one caller, {}: {} of {EVENTS} events, p50", asked.what, asked.events);
        let [p50_shown, slowest, first] = [p50, slowest, first].map(short);
        let shown = format!("{p50_shown} ms; {slowest} ms the slowest of {REQUESTS}, {first} ms the first");
        bench.report.info(&what, shown);
        Ok((p50, target))
    }

    /// Many callers who ask the same, between one alone and one alone.
    fn rounds(&self, bench: &mut Bench, (_, target): &(f64, Target)) -> Result<Medians> {
        let length = bench.plan.slice * LONGER;
        let mut found = Medians::default();
        self.slice(target, 1, length / 4)?;
        for round in 1..=bench.plan.rounds {
            let alone = self.slice(target, 1, length)?;
            let together = self.slice(target, CALLERS, length)?;
            let again = self.slice(target, 1, length)?;
            let many = format!("{together} ms of {CALLERS}");
            bench.report.note(format_args!("round {round}: p50 {alone} ms alone, {many}, {again} ms alone"));
            found.alone.push(alone);
            found.together.push(together);
            found.again.push(again);
        }
        Ok(found)
    }

    /// The median in milliseconds.
    fn slice(&self, target: &Target, callers: usize, length: Duration) -> Result<f64> {
        let mut load = Closed::connect(target, callers)?;
        let answers = load.run(Until::Over(length))?;
        load.finish()?;
        self.server.forget_output()?;
        ensure!(answers.count > 0, "no answer within {length:?}");
        Ok(millis(&answers.latency, 0.5))
    }

    /// The same number of callers, each of whom asks for another user: counts that nobody else can use.
    fn many_filters(&self, bench: &mut Bench, (alone, _): (f64, Target)) -> Result<()> {
        let requests = (0..CALLERS as u64).map(|user| self.request(&Asked::of_user(user))).collect();
        let target = Target::of_callers(self.address, requests)?;
        let together = self.slice(&target, CALLERS, bench.plan.slice * LONGER)?;
        let shown = format!("{} ms, {} of one caller's", short(together), short(together / alone));
        bench.report.info(&format!("{CALLERS} callers, a user each, p50"), shown);
        Ok(())
    }
}

impl Medians {
    fn report(&self, bench: &mut Bench) {
        let means: Vec<_> =
            self.alone.iter().zip(&self.again).map(|(one, other)| f64::midpoint(*one, *other)).collect();
        bench.report.info("null: p50 of one caller by that of one caller", ratio(&self.again, &self.alone));
        let together = Spread::of(&self.together);
        bench.report.info(&format!("{CALLERS} callers, no filter, p50"), format_args!("{together} ms"));
        // Whoever asks waits for the count that runs, which began too early, and for the next one.
        let (ratio, goal) = (ratio(&self.together, &means), Goal::AtMost(3.0, None));
        bench.report.judged(&format!("p50 of {CALLERS} callers by that of one"), ratio.median, ratio, goal);
        if let [first, .., last] = means[..] {
            bench.report.info("p50 of one caller in the last round by that in the first", short(last / first));
        }
    }
}

fn ratio(one: &[f64], other: &[f64]) -> Spread {
    Spread::of(&one.iter().zip(other).map(|(one, other)| one / other).collect::<Vec<_>>())
}

fn memory(bench: &mut Bench, pid: u32, before: u64) -> Result<()> {
    let (after, peak) = (Memory::of(pid)?.resident, Memory::peak(pid)?);
    let [before, after, peak] = [before, after, peak].map(|bytes| bytes as f64 / MIB);
    let on_top = peak - before;
    let [shown, before, after, peak] = [on_top, before, after, peak].map(short);
    let shown = format!("{shown} MiB: {before} resident before, {after} after, {peak} at most");
    bench.report.judged("memory for statistics", on_top, shown, Goal::AtMost(64.0, None));
    Ok(())
}
