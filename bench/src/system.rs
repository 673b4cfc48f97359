//! What the operating system tells of processes, and the cores that they run on. Linux only.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What the rows with many connections need, on each side.
const OPEN_FILES: u64 = 6000;

/// Servers have one core for themselves, and the load the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub(crate) fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let (server, load) = (usable.next(), usable.next());
        Ok(Self { server: server.context("no core")?, load: load.context("the benchmarks need two cores")? })
    }

    /// Both, for what runs alone.
    pub(crate) fn both(self) -> String {
        format!("{},{}", self.server, self.load)
    }

    /// Keeps this process on the core of the load. What it starts chooses its own.
    pub(crate) fn take_load_core(self) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(self.load);
        Ok(sched_setaffinity(None, &set)?)
    }
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "the load runs on threads of its own, no async one waits for it")]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// Nanoseconds that each thread of a process and of its children has been on a core.
///
/// A thread that ended is forgotten with all it did, so both readings are taken while the threads live.
#[derive(Debug, Clone)]
pub(crate) struct CpuTime(BTreeMap<u32, u64>);

impl CpuTime {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut threads = BTreeMap::new();
        let mut processes = vec![pid];
        while let Some(pid) = processes.pop() {
            for task in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} has ended"))? {
                let task = task?;
                let (Ok(times), Ok(id)) = (
                    fs::read_to_string(task.path().join("schedstat")),
                    task.file_name().to_string_lossy().parse::<u32>(),
                ) else {
                    continue;
                };
                threads.insert(id, first_number(&times).context("the kernel has no schedstat")?);
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                processes.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
        }
        Ok(Self(threads))
    }

    /// What was used since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        self.0.iter().map(|(id, time)| time.saturating_sub(earlier.0.get(id).copied().unwrap_or(0))).sum()
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Pages that it has, shared ones counted in full.
    pub(crate) resident: u64,
    /// The same with shared pages counted by their share.
    pub(crate) proportional: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let field = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
            Ok::<_, anyhow::Error>(first_number(&line[name.len()..]).context("no number")? * 1024)
        };
        Ok(Self { resident: field("Rss:")?, proportional: field("Pss:")? })
    }
}

/// Asks a process that we started to end.
pub(crate) fn terminate(pid: u32) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).context("not a process")?;
    Ok(kill_process(pid, Signal::TERM)?)
}

/// The process that a process started first and that still runs.
pub(crate) fn first_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Writes everything to the disk that waits for it, so that one slice does not pay for another.
pub(crate) fn settle_disk() {
    rustix::fs::sync();
}

/// Where a program is.
pub(crate) fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = search_path()?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// `PATH`, which started programs need.
#[expect(clippy::disallowed_methods, reason = "the benchmarks are no service: they look for tools like a shell")]
pub(crate) fn search_path() -> Option<std::ffi::OsString> {
    std::env::var_os("PATH")
}

/// Refuses a machine on which the numbers would mean nothing.
pub(crate) fn check() -> Result<()> {
    let works = Path::new("/proc/self/task").is_dir() && CpuTime::of(std::process::id()).is_ok();
    ensure!(works, "the benchmarks need Linux with /proc and schedstat");
    ensure!(find_program("taskset").is_some(), "taskset is missing: install the package util-linux");
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    ensure!(files >= OPEN_FILES, "{files} open files are too few: allow {OPEN_FILES} with ulimit -n");
    Ok(())
}
