//! Memory of the idle system, of each service alone, and of each idle connection.
//!
//! Counted is the process's own memory (PSS, shared pages by their share); what the kernel holds for a socket is not.
//! Each process runs from a copy of the binary, so that none looks small by sharing its pages with another.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::bench::Bench;
use crate::load::get;
use crate::report::Goal;
use crate::stats::short;
use crate::system::{Memory, pause};

const MIB: f64 = 1024.0 * 1024.0;
/// How long a process has been idle when it is looked at.
const IDLE: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 2000;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let mut products = vec![("keelson up", bench.up("memory-up")?)];
    products.push(("keelson serve ingest", bench.serve("memory-ingest", "ingest")?));
    products.push(("keelson serve archiver", bench.serve("memory-archiver", "archiver")?));
    for (index, (_, product)) in products.iter_mut().enumerate() {
        // On one core a process has one worker thread; it is measured as it runs on a machine with several.
        product.launch.cores = bench.cores.both();
        let copy = bench.disk.join(format!("keelson-{index}"));
        fs::copy(&bench.keelson, &copy)?;
        product.launch.command[0] = copy.display().to_string();
    }
    let servers = products.iter().map(|(_, product)| product.start()).collect::<Result<Vec<_>>>()?;
    pause(IDLE);
    for ((name, _), server) in products.iter().zip(&servers) {
        let memory = Memory::of(server.pid())?;
        let (pss, rss) = (memory.proportional as f64 / MIB, memory.resident as f64 / MIB);
        let goal = if *name == "keelson up" { Goal::AtMost(25.0, None) } else { Goal::AtMost(10.0, None) };
        let shown = format!("{} MiB ({} resident)", short(pss), short(rss));
        bench.report.judged(&format!("{name}, idle"), pss, shown, goal);
    }
    // A process of its own for each, since memory that was used before is used again.
    connections(bench, "after a request", products[1].1.public, servers[1].pid(), Some(&get("/health", None)))?;
    connections(bench, "never used", products[2].1.public, servers[2].pid(), None)
}

/// What each of many connections adds to a process that had none.
fn connections(bench: &mut Bench, what: &str, address: SocketAddr, pid: u32, request: Option<&[u8]>) -> Result<()> {
    let before = Memory::of(pid)?.resident;
    let connections = open(address, request)?;
    pause(Duration::from_millis(500));
    let added = Memory::of(pid)?.resident.saturating_sub(before);
    let each = added as f64 / connections.len() as f64 / 1024.0;
    bench.report.info(&format!("each idle connection, {what}"), format_args!("{} KiB", short(each)));
    Ok(())
}

fn open(address: SocketAddr, request: Option<&[u8]>) -> Result<Vec<TcpStream>> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).context("an idle connection")?;
        if let Some(request) = request {
            stream.write_all(request)?;
            let mut chunk = [0; 4096];
            ensure!(stream.read(&mut chunk)? > 0, "no answer on an idle connection");
        }
        connections.push(stream);
    }
    Ok(connections)
}
