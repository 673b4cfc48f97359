//! Events that are on the disk when they are answered, from 64 connections at once: commits shared by all that wait,
//! against one commit for each row.
//!
//! The product is as in production, with a token to verify. Each connection reports another user's events.

use anyhow::Result;
use serde_json::json;

use super::ingest::{CONNECTIONS, ROW_COMMITS, Settled, row_commits};
use crate::bench::{API_TOKEN, Bench};
use crate::load::{Target, post_as};
use crate::paired::{self, Contestant, Slice};
use crate::report::Goal;
use crate::server::Loaded;

/// The product, twice.
const OURS: [&str; 2] = ["keelson-events", "twin-events"];
const PEER_FOLDER: &str = "event-commits";

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let outcome = measure(bench);
    for name in OURS.into_iter().chain([PEER_FOLDER]) {
        bench.fresh(name)?;
    }
    outcome
}

fn measure(bench: &mut Bench) -> Result<()> {
    let token = bench.token("bench", &["analytics:write"])?;
    let requests: Vec<_> = (0..CONNECTIONS).map(|user| request(&token, user)).collect();
    let mut contestants = Vec::new();
    for name in OURS {
        bench.fresh(name)?;
        let product = bench.serve(name, "analytics")?.env("JWT_SECRET_KEY", API_TOKEN);
        let server = product.start()?;
        let target = Target::of_callers(product.public, requests.clone())?;
        contestants.push(Settled(Loaded { server, target, connections: CONNECTIONS }));
    }
    let (server, address) = row_commits(bench, PEER_FOLDER, &["--events"])?;
    let target = Target::of_callers(address, requests)?;
    contestants.push(Settled(Loaded { server, target, connections: CONNECTIONS }));

    let mut all: Vec<_> = contestants.iter_mut().map(|it| it as &mut dyn Contestant).collect();
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("event", &mut bench.report);
    if !rounds.check_null(OURS, "events per second", Slice::per_second, &mut bench.report)? {
        return Ok(());
    }
    let ratio = rounds.ratio(OURS[0], ROW_COMMITS, Slice::per_second);
    let what = "events per second by those of one commit for each row";
    bench.report.judged(what, ratio.median, ratio, Goal::AtLeast(5.0, None));
    let cpu = rounds.ratio(ROW_COMMITS, OURS[0], Slice::cpu_each);
    bench.report.info("CPU of one commit for each row by ours", cpu);
    Ok(())
}

/// Of one length for all.
fn request(token: &str, user: usize) -> Vec<u8> {
    let event = json!({
        "event_type": "page_view",
        "event_name": "Start page",
        "user_id": format!("01975408-5f35-7000-8000-{user:012}"),
        "properties": { "path": "/" },
    });
    post_as(Some(token), "/api/v1/analytics/events", &event.to_string())
}
