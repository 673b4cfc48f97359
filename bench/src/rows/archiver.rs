//! Objects per second of the archiver on a full queue, against bare loops that create files and fsync them.
//!
//! Nothing else runs, so each may use both cores. Every slice begins with a copy of the same full queue; the archiver
//! is counted by its own metrics, while it is in the middle of its work.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::ingest;
use crate::bench::{Bench, Product, remove};
use crate::load::closed::{Closed, Until};
use crate::load::{get, once};
use crate::loops::{self, OnAllCores};
use crate::paired::{self, Contestant, Slice};
use crate::report::Goal;
use crate::system::{CpuTime, pause, settle_disk};

/// Messages in the full queue: more than a slice can take.
const BACKLOG: u64 = 20_000;
/// How long the archiver works before it is counted.
const RUN_UP: Duration = Duration::from_millis(200);
/// Where the files of the slices stay.
const ASIDE: &str = "aside";
/// File operations that the product has under way at most.
const WRITERS: usize = 32;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let backlog = fill(bench)?;
    let mut archiver = archiver(bench, "archiver", &backlog)?;
    let mut twin = self::archiver(bench, "twin-archiver", &backlog)?;
    let bytes = archiver.object_size()?;
    bench.report.note(format_args!("an object has {bytes} bytes"));
    let mut one = bare_loop(bench, "bare loop, 1 writer", 1, bytes)?;
    let mut many = bare_loop(bench, "bare loop, 32 writers", WRITERS, bytes)?;
    let mut linked = BareLoop { linked: true, ..bare_loop(bench, "linking loop, 32 writers", WRITERS, bytes)? };
    let mut all: [&mut dyn Contestant; 5] = [&mut archiver, &mut twin, &mut one, &mut many, &mut linked];
    let rounds = paired::run(&mut all, bench.plan, &mut bench.report)?;
    remove(&backlog)?;
    rounds.describe("object", &mut bench.report);
    let rate = Slice::per_second;
    if !rounds.check_null(["archiver", "twin-archiver"], "objects per second", rate, &mut bench.report)? {
        return Ok(());
    }
    let ratio = rounds.ratio("archiver", "bare loop, 32 writers", rate);
    bench.report.judged("objects per second by those of the loop", ratio.median, ratio, Goal::AtLeast(0.8, None));
    let single = rounds.ratio("archiver", "bare loop, 1 writer", rate);
    bench.report.info("the same by those of a loop with one writer", single);
    let linked = rounds.ratio("archiver", "linking loop, 32 writers", rate);
    bench.report.info("the same by those of a loop with temporary names, as the archiver has them", linked);
    Ok(())
}

/// Makes the data folder that each slice begins with.
fn fill(bench: &Bench) -> Result<PathBuf> {
    let product = bench.serve("backlog", "ingest")?;
    let loaded = ingest::loaded(&product)?;
    Closed::connect(&loaded.target, loaded.connections)?.run(Until::Answers(BACKLOG))?;
    let status = loaded.server.stop()?;
    ensure!(status.success(), "ingest ended with {status}");
    Ok(product.data)
}

/// Files stay until the run ends, some 600 MB for a round: for some minutes ext4 without a journal gives the places of
/// removed files to no others, and each new file looks at all of them, which makes a creation ten times as long.
fn set_aside(folder: &Path) -> Result<()> {
    let aside = folder.with_file_name(ASIDE);
    fs::create_dir_all(&aside)?;
    let number = fs::read_dir(&aside)?.count();
    Ok(fs::rename(folder, aside.join(number.to_string()))?)
}

fn archiver(bench: &Bench, name: &'static str, backlog: &Path) -> Result<Archiver> {
    let mut product = bench.serve(name, "archiver")?;
    product.launch.cores = bench.cores.both();
    Ok(Archiver { name, product, backlog: backlog.to_owned() })
}

struct Archiver {
    name: &'static str,
    product: Product,
    backlog: PathBuf,
}

impl Archiver {
    fn stored(&self) -> Result<u64> {
        let page = once::ask(self.product.internal, &get("/metrics", None))?.text();
        let line =
            |line: &&str| line.starts_with("messaging_client_consumed_messages_total{") && line.contains("\"stored\"");
        let value = page.lines().find(line).and_then(|line| line.rsplit(' ').next()).context("no such metric")?;
        Ok(value.parse::<f64>()? as u64)
    }

    /// Archives a few messages to see how large an object is.
    fn object_size(&mut self) -> Result<usize> {
        self.prepare()?;
        let server = self.product.start()?;
        while self.stored()? == 0 {
            pause(Duration::from_millis(1));
        }
        drop(server);
        let mut folder = self.product.data.join("objects").join("messages");
        loop {
            let entry = fs::read_dir(&folder)?.next().context("an empty folder")??;
            if entry.file_type()?.is_file() {
                return Ok(usize::try_from(entry.metadata()?.len())?);
            }
            folder = entry.path();
        }
    }

    fn prepare(&self) -> Result<()> {
        let data = &self.product.data;
        if data.exists() {
            set_aside(data)?;
        }
        fs::create_dir_all(data)?;
        for entry in fs::read_dir(&self.backlog)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), data.join(entry.file_name()))?;
            }
        }
        settle_disk();
        Ok(())
    }
}

impl Contestant for Archiver {
    fn name(&self) -> &str {
        self.name
    }

    fn slice(&mut self, length: Duration) -> Result<Slice> {
        self.prepare()?;
        let server = self.product.start()?;
        pause(RUN_UP);
        let (before, cpu, begun) = (self.stored()?, CpuTime::of(server.pid())?, Instant::now());
        pause(length);
        let (after, used, wall) = (self.stored()?, CpuTime::of(server.pid())?, begun.elapsed());
        ensure!(after < BACKLOG, "the queue ran empty: {after} messages archived");
        drop(server);
        set_aside(&self.product.data)?;
        let cpu = Duration::from_nanos(used.since(&cpu));
        Ok(Slice { done: after - before, cpu, wall, ..Slice::default() })
    }
}

struct BareLoop {
    name: &'static str,
    program: OnAllCores,
    folder: PathBuf,
    writers: usize,
    bytes: usize,
    linked: bool,
}

fn bare_loop(bench: &Bench, name: &'static str, writers: usize, bytes: usize) -> Result<BareLoop> {
    let folder = bench.fresh("bare-loop")?;
    Ok(BareLoop { name, program: OnAllCores::new(bench), folder, writers, bytes, linked: false })
}

impl Contestant for BareLoop {
    fn name(&self) -> &str {
        self.name
    }

    fn slice(&mut self, length: Duration) -> Result<Slice> {
        settle_disk();
        let mut command = self.program.command("files", length);
        command.arg("--folder").arg(&self.folder).args(["--writers", &self.writers.to_string()]);
        command.args(["--bytes", &self.bytes.to_string()]).args(self.linked.then_some("--linked"));
        let slice = loops::run(command)?;
        set_aside(&self.folder)?;
        Ok(slice)
    }
}
