//! The machine and the versions, since numbers without them say nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::system::Cores;

/// One line each for the processor, the system, the disk that `scratch` is on, the time.
pub(crate) fn describe(cores: Cores, scratch: &Path) -> Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unnamed processor");
    let count = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let lines = [
        format!(
            "Machine: {}, {count} cores; servers on core {}, load on core {}.",
            model.trim_matches([' ', '\t', ':']),
            cores.server,
            cores.load
        ),
        format!("Kernel {}, {}, {}.", kernel.trim(), version("rustc"), version("python3")),
        format!("Disk: {}.", file_system(scratch)?),
        format!("Measured on {} UTC, load average {} at the start.", today(), load_average()?),
    ];
    Ok(lines.join("\n") + "\n")
}

/// Type and options of the file system that a folder is on.
fn file_system(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = mounts.filter(|words| words.len() > 3 && folder.starts_with(words[1]));
    // Of two on one place the later one is seen.
    let nearest = around.max_by_key(|words| words[1].len()).map(|words| format!("{} ({})", words[2], words[3]));
    Ok(nearest.unwrap_or_else(|| "unknown".to_owned()))
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    output.map_or_else(|_| format!("no {program}"), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn load_average() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or("?").to_owned())
}

/// The date in UTC.
#[expect(clippy::disallowed_methods, reason = "the benchmarks are no service, and have no other clock")]
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn today() -> String {
    now().strftime("%Y-%m-%d %H:%M").to_string()
}

/// A folder in memory, where the system has one.
pub(crate) fn memory_folder() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}
