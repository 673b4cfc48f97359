//! Messages that are on the disk when they are answered, from 64 connections at once: commits shared by all that wait,
//! against one commit for each row.

use std::fs;
use std::net::SocketAddr;

use anyhow::Result;

use crate::bench::{Bench, Product, message};
use crate::load::{Target, post};
use crate::paired::{self, Contestant, Slice};
use crate::report::Goal;
use crate::server::{Loaded, Server};
use crate::system::settle_disk;

pub(super) const CONNECTIONS: usize = 64;
/// The peer.
pub(super) const ROW_COMMITS: &str = "one commit for each row";

/// A contestant whose writes are on the disk before the next one begins.
pub(super) struct Settled(pub(super) Loaded);

impl Contestant for Settled {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn slice(&mut self, length: std::time::Duration) -> Result<Slice> {
        settle_disk();
        self.0.slice(length)
    }
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    for name in ["keelson-ingest", "twin-ingest"] {
        bench.fresh(name)?;
    }
    let mut keelson = Settled(loaded(&bench.serve("keelson-ingest", "ingest")?)?);
    let mut twin = Settled(loaded(&bench.serve("twin-ingest", "ingest")?)?);
    let (server, address) = row_commits(bench, "row-commits", &[])?;
    let target = Target::new(address, post("/api/message", &message()))?;
    let mut rows = Settled(Loaded { server, target, connections: CONNECTIONS });
    let mut all: [&mut dyn Contestant; 3] = [&mut keelson, &mut twin, &mut rows];
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    rounds.describe("message", &mut bench.report);
    let (ours, theirs) = ("keelson-ingest", ROW_COMMITS);
    let twins = [ours, "twin-ingest"];
    if !rounds.check_null(twins, "messages per second", Slice::per_second, &mut bench.report)? {
        return Ok(());
    }
    let ratio = rounds.ratio(ours, theirs, Slice::per_second);
    let goal = Goal::AtLeast(5.0, Some(15.0));
    bench.report.judged("messages per second by those of one commit for each row", ratio.median, ratio, goal);
    bench.report.info("CPU of one commit for each row by ours", rounds.ratio(theirs, ours, Slice::cpu_each));
    Ok(())
}

/// The product with messages as load.
pub(super) fn loaded(product: &Product) -> Result<Loaded> {
    let server = product.start()?;
    let target = Target::new(product.public, post("/api/message", &message()))?;
    Ok(Loaded { server, target, connections: CONNECTIONS })
}

/// The peer with a new file in this folder.
pub(super) fn row_commits(bench: &Bench, folder: &str, more: &[&str]) -> Result<(Server, SocketAddr)> {
    let folder = bench.fresh(folder)?;
    fs::create_dir_all(&folder)?;
    let file = folder.join("rows.db").display().to_string();
    let (launch, address) = bench.peer(ROW_COMMITS, &[&["row-commits", "--file", &file], more].concat())?;
    Ok((launch.start()?, address))
}
