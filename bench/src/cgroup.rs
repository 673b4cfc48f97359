//! A quota of processor time for one process, where this user may make a control group (version 1 or 2).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Microseconds of a period, the kernel's default.
const PERIOD: u32 = 100_000;

/// A group with a quota; it goes when its process has gone.
#[derive(Debug)]
pub(crate) struct Quota(PathBuf);

impl Quota {
    /// A group that may use `percent` of one core, or `None` where no group can be made.
    pub(crate) fn new(percent: u32) -> Option<Self> {
        let quota = PERIOD / 100 * percent;
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("keelson-bench-{}", std::process::id());
        let (group, file, text) = if root.join("cgroup.controllers").exists() {
            (root.join(name), "cpu.max", format!("{quota} {PERIOD}"))
        } else {
            (root.join("cpu").join(name), "cpu.cfs_quota_us", quota.to_string())
        };
        fs::create_dir(&group).ok()?;
        let quota = Self(group);
        fs::write(quota.0.join(file), text).ok()?;
        Some(quota)
    }

    /// Puts a process with all its threads into the group.
    pub(crate) fn hold(&self, pid: u32) -> Result<()> {
        Ok(fs::write(self.0.join("cgroup.procs"), pid.to_string())?)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _in_use = fs::remove_dir(&self.0);
    }
}
