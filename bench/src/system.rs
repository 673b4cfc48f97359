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
    /// That of the servers and that of the load.
    pub(crate) const NUMBER: usize = 2;

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

/// Moves a process with all threads that it has.
pub(crate) fn move_to(pid: u32, core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    for thread in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} has ended"))? {
        let thread = Pid::from_raw(thread?.file_name().to_string_lossy().parse()?).context("no thread")?;
        sched_setaffinity(Some(thread), &set)?;
    }
    Ok(())
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "the load runs on threads of its own, no async one waits for it")]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// Nanoseconds that a process and its children have been on a core.
#[derive(Debug, Clone)]
pub(crate) struct CpuTime {
    /// Of each thread that lives, to the nanosecond.
    threads: BTreeMap<u32, u64>,
    /// Of each process with all the threads that it ever had, to a tick.
    processes: BTreeMap<u32, u64>,
}

impl CpuTime {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut found = Self { threads: BTreeMap::new(), processes: BTreeMap::new() };
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
                found.threads.insert(id, first_number(&times).context("the kernel has no schedstat")?);
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                processes.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            found.processes.insert(pid, ticks(&stat).context("no times of a process")? * tick());
        }
        Ok(found)
    }

    /// What was used since an earlier reading. Where threads have ended meanwhile their time is known of the process alone.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        let [living, all] = [(&self.threads, &earlier.threads), (&self.processes, &earlier.processes)].map(used);
        if all > living + 2 * tick() * self.processes.len() as u64 { all } else { living }
    }
}

fn used((now, earlier): (&BTreeMap<u32, u64>, &BTreeMap<u32, u64>)) -> u64 {
    now.iter().map(|(id, time)| time.saturating_sub(earlier.get(id).copied().unwrap_or(0))).sum()
}

/// Nanoseconds.
fn tick() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second()
}

/// `utime` and `stime` of `/proc/PID/stat`. The name before them may hold anything.
/// Source: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
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

    /// The most that a process ever had resident.
    /// Source: <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>
    pub(crate) fn peak(pid: u32) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(first_number(line).context("no number")? * 1024)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_hides_no_times() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 21 4 3 2 20 0 1 0 100 1 1";
        assert_eq!(ticks(stat), Some(25));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_process_runs_where_it_was_moved_to() {
        let allowed = sched_getaffinity(None).unwrap();
        let core = (0..CpuSet::MAX_CPU).rfind(|&core| allowed.is_set(core)).unwrap();
        let mut process = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let moved = move_to(process.id(), core);
        let set = sched_getaffinity(Some(Pid::from_child(&process))).unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        moved.unwrap();
        assert!(set.count() == 1 && set.is_set(core), "{set:?} instead of {core}");
        assert!(move_to(process.id(), core).is_err(), "a process that has ended cannot move");
    }

    #[test]
    fn a_process_has_never_more_than_at_its_peak() {
        let (pid, megabyte) = (std::process::id(), 1 << 20);
        let before = Memory::peak(pid).unwrap();
        let used = std::hint::black_box(vec![1_u8; 64 * megabyte]);
        let peak = Memory::peak(pid).unwrap();
        assert!(peak > before + 32 * megabyte as u64, "{before} and then {peak} with {} more", used.len());
    }

    #[test]
    fn the_time_of_ended_threads_is_not_lost() {
        let reading = |threads: &[(u32, u64)], all| CpuTime {
            threads: threads.iter().copied().collect(),
            processes: BTreeMap::from([(1, all)]),
        };
        let before = reading(&[(1, 500)], 0);
        assert_eq!(reading(&[(1, 700)], tick()).since(&before), 200, "a tick is no ended thread");
        assert_eq!(reading(&[(1, 700)], 9 * tick()).since(&before), 9 * tick());
    }
}
