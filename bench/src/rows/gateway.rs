//! One hop: a user by id through the gateway with all that it does, against nginx and HAProxy before the same upstream.
//!
//! The hop has a core for itself. The upstream is a bare hyper with a user as its one answer, on the core of the load,
//! and its processor time does not count. What a hop adds to latency is asked afterwards, far below the capacity and
//! with the upstream on the core of the hop: the open loop never sleeps, so who shares its core would wait for it.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::beside::at_rate;
use super::get::{CONNECTIONS, NGINX};
use crate::bench::{API_TOKEN, Bench};
use crate::load::once::{self, Whole};
use crate::load::open::Phase;
use crate::load::{Target, get, latencies, millis};
use crate::others::{Other, collect_lines};
use crate::paired::{self, Contestant, Rounds, Slice};
use crate::peers;
use crate::report::Goal;
use crate::server::{Launch, Loaded, Server};
use crate::stats::{Spread, short};
use crate::system::{move_to, pause};

/// The product, twice.
const OURS: [&str; 2] = ["keelson-gateway", "twin-gateway"];
/// The peers, and how the table calls them.
const PROXIES: [(Other, &str); 2] = [(Other { config: "nginx-gateway.conf", ..NGINX }, "nginx"), (HAPROXY, "HAProxy")];
const HAPROXY: Other = Other {
    name: "haproxy",
    words: &["-db", "-f"],
    config: "haproxy.cfg",
    remedy: "no HAProxy: install the package haproxy",
};

const USERS: &str = "/api/v1/users";
const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// Requests a second that every hop has time for.
const PER_SECOND: f64 = 2000.0;
/// How soon a line is in the log: those of nginx wait for a second.
const LOGGED: Duration = Duration::from_secs(5);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let (upstream, address) = upstream(bench)?;
    let request = get(&format!("{USERS}/{ID}"), Some(&bench.token(ID, &[])?));
    let direct = Target::new(address, request)?;
    let mut hops = hops(bench, &direct)?;
    let rounds = cpu(bench, &mut hops)?;
    if !rounds.check_null(OURS, "CPU", Slice::cpu_each, &mut bench.report)? {
        return Ok(());
    }
    for (proxy, called) in PROXIES {
        if hops.iter().any(|hop| hop.server.name == proxy.name) {
            let ratio = rounds.ratio(proxy.name, OURS[0], Slice::cpu_each);
            let goal = Goal::AtLeast(0.50, Some(1.0));
            bench.report.judged(&format!("{called}'s CPU by ours"), ratio.median, ratio, goal);
        }
    }
    move_to(upstream.pid(), bench.cores.server)?;
    let times = latency(bench, &direct, &hops)?;
    report_latency(bench, &hops, &times);
    Ok(())
}

/// A user as the product gives one, on the core of the load.
fn upstream(bench: &Bench) -> Result<(Server, SocketAddr)> {
    let user = json!({
        "id": ID,
        "name": "John Doe",
        "email": "john.doe@example.com",
        "age": 30,
        "created_at": "2026-11-22T08:27:14.123456Z",
        "updated_at": "2026-11-22T08:27:14.123456Z",
    });
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let answer = Whole { status: 200, headers, body: serde_json::to_vec(&user)?, latency: Duration::ZERO };
    let file = bench.logs.join("user.json");
    peers::capture(&answer, &file)?;
    let (mut launch, address) = bench.peer("upstream", &["bare", "--answer", &file.display().to_string()])?;
    launch.cores = bench.cores.load.to_string();
    Ok((launch.start()?, address))
}

fn hops(bench: &mut Bench, direct: &Target) -> Result<Vec<Loaded>> {
    let mut hops = Vec::new();
    for name in OURS {
        bench.fresh(name)?;
        let product = bench.serve(name, "gateway")?.env("JWT_SECRET_KEY", API_TOKEN);
        let product = product.env("USER_SERVICE_URL", &format!("http://{}", direct.address));
        hops.push(hop(&product.launch, product.public, direct)?);
    }
    let lines = collect_lines(&bench.output(HAPROXY.name))?;
    let blanks = [("UPSTREAM", direct.address.to_string()), ("LINES", lines.to_string())];
    for (proxy, _) in PROXIES {
        if let Some((launch, address)) = proxy.launch(bench, &blanks)? {
            hops.push(hop(&launch, address, direct)?);
        }
    }
    Ok(hops)
}

/// Started, and seen to give the upstream's answer and to write an access log, or the comparison would be another one.
fn hop(launch: &Launch, address: SocketAddr, direct: &Target) -> Result<Loaded> {
    let server = launch.start()?;
    server.forget_output()?;
    let target = Target { address, ..direct.clone() };
    let [through, upstream] = [&target, direct].map(|target| once::ask(target.address, &target.requests[0]));
    let (through, upstream) = (through?, upstream?);
    let same = through.status == upstream.status && through.body == upstream.body;
    let (status, text) = (through.status, through.text());
    ensure!(same, "{} answers {status} {text}, and the upstream {}", server.name, upstream.text());
    let begun = Instant::now();
    while !fs::read_to_string(&launch.output)?.contains(USERS) {
        ensure!(begun.elapsed() < LOGGED, "{} has no line of a request", launch.output.display());
        pause(Duration::from_millis(10));
    }
    Ok(Loaded { server, target, connections: CONNECTIONS })
}

fn cpu(bench: &mut Bench, hops: &mut [Loaded]) -> Result<Rounds> {
    let mut all: Vec<_> = hops.iter_mut().map(|it| it as &mut dyn Contestant).collect();
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("request", &mut bench.report);
    // Who has time left is woken more often for less, and needs more for a request than under full load.
    for hop in all {
        let busy = rounds.median(hop.name(), |slice| 100.0 * slice.cpu.as_secs_f64() / slice.wall.as_secs_f64());
        bench.report.info(&format!("{}, share of its core", hop.name()), format_args!("{} %", short(busy)));
    }
    Ok(rounds)
}

/// Milliseconds, a value for each round.
#[derive(Debug, Default)]
struct Times {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Times {
    /// What is on top of another's, round by round.
    fn added(&self, to: &Self) -> [Spread; 2] {
        [(&self.p50, &to.p50), (&self.p99, &to.p99)].map(|(with, without)| {
            Spread::of(&with.iter().zip(without).map(|(with, without)| with - without).collect::<Vec<_>>())
        })
    }
}

/// Of the upstream, and then of each hop, in turns that begin with another one in each round and are mirrored.
fn latency(bench: &mut Bench, direct: &Target, hops: &[Loaded]) -> Result<Vec<Times>> {
    let targets: Vec<_> = [direct].into_iter().chain(hops.iter().map(|hop| &hop.target)).collect();
    let phase = Phase { per_second: PER_SECOND, length: bench.plan.slice };
    let mut times: Vec<_> = targets.iter().map(|_| Times::default()).collect();
    for target in &targets {
        at_rate(target, phase)?;
    }
    for round in 1..=bench.plan.rounds {
        let mut merged = targets.iter().map(|_| latencies()).collect::<Result<Vec<_>>>()?;
        let mut order: Vec<_> = (0..targets.len()).collect();
        order.rotate_left(round % targets.len());
        for &index in order.iter().chain(order.iter().rev()) {
            merged[index].add(at_rate(targets[index], phase)?)?;
            hops.iter().try_for_each(|hop| hop.server.forget_output())?;
        }
        for (times, histogram) in times.iter_mut().zip(&merged) {
            times.p50.push(millis(histogram, 0.50));
            times.p99.push(millis(histogram, 0.99));
        }
        let p99s: Vec<_> = merged.iter().map(|histogram| millis(histogram, 0.99)).collect();
        bench.report.note(format_args!("round {round}: p99 {p99s:?} ms, of the upstream and then of each hop"));
    }
    Ok(times)
}

fn report_latency(bench: &mut Bench, hops: &[Loaded], times: &[Times]) {
    let [direct, ours, twin, ..] = times else { return };
    let shown = |[p50, p99]: [Spread; 2]| format!("{p99} ms, p50 {} ms", short(p50.median));
    let null = shown(twin.added(ours));
    bench.report.info("null: p99 of the same binary twice, the difference", null);
    let alone = shown([&direct.p50, &direct.p99].map(|values| Spread::of(values)));
    bench.report.info(&format!("p99 of the upstream at {PER_SECOND} requests/s"), alone);
    for (hop, through) in hops.iter().zip(&times[1..]) {
        bench.report.info(&format!("added p99, {}", hop.server.name), shown(through.added(direct)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hop_adds_is_taken_round_by_round() {
        let direct = Times { p50: vec![0.25, 0.5], p99: vec![1.0, 9.0] };
        let through = Times { p50: vec![0.5, 0.75], p99: vec![3.0, 11.0] };
        let steady = |value| Spread { p10: value, median: value, p90: value };
        assert_eq!(through.added(&direct), [steady(0.25), steady(2.0)]);
    }
}
