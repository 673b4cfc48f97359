//! What processes have of the machine's memory, as Linux tells it.

use std::fs;

use super::Outcome;

/// The most that a process ever had.
pub(crate) const PEAK: &str = "VmHWM:";
/// What it shares with no other.
pub(crate) const OWN: &str = "RssAnon:";

/// MiB; `None` where the system does not tell.
pub(crate) fn of(pid: u32, field: &str) -> Outcome<Option<f64>> {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return Ok(None) };
    let Some(line) = status.lines().find_map(|line| line.strip_prefix(field)) else { return Ok(None) };
    let kib: f64 = line.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(Some(kib / 1024.0))
}

/// Of all of them together.
pub(crate) fn sum(pids: &[u32], field: &str) -> Outcome<Option<f64>> {
    pids.iter().map(|&pid| of(pid, field)).sum()
}
