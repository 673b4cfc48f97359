//! Disks of a test's own, in a mount namespace that ends with the test, however that ends.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use chassis::testing::{require, require_tool};

use crate::launch::{BINARY, Launch};

/// Small disks, each a folder under the folder of a launch.
pub(crate) struct Disks {
    /// Holds the namespace until its standard input is closed.
    holder: Child,
    folder: PathBuf,
}

impl Disks {
    /// Mounts a disk in memory for each name, with options such as `size=32m`. `None` where that is not allowed.
    pub(crate) fn mount(launch: &Launch, disks: &[(&str, &str)]) -> Option<Self> {
        let mounts = disks.iter().map(|(name, options)| {
            let path = launch.path(name).display().to_string();
            format!("mkdir -p {path} && mount -t tmpfs -o {options} none {path}")
        });
        Self::hold(launch, &mounts.collect::<Vec<_>>().join(" && "))
    }

    /// Makes a folder that is there read-only.
    pub(crate) fn read_only(launch: &Launch, name: &str) -> Option<Self> {
        let path = launch.path(name).display().to_string();
        Self::hold(launch, &format!("mount --bind {path} {path} && mount -o remount,bind,ro {path}"))
    }

    fn hold(launch: &Launch, mounts: &str) -> Option<Self> {
        let unshare = require_tool("unshare")?;
        require_tool("nsenter")?;
        let script = format!("{mounts} && echo mounted && exec cat");
        let mut command = Command::new(unshare);
        command.arg("--mount").args((!is_root()).then_some("--map-root-user")).args(["sh", "-c", &script]);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let disks = Self { holder, folder: launch.path("") };
        require("the right to mount a disk", line == "mounted\n").then_some(disks)
    }

    /// The system runs where the disks are.
    pub(crate) fn launch(&self, launch: Launch) -> Launch {
        let pid = self.holder.id().to_string();
        let user: &[&str] = if is_root() { &[] } else { &["--user", "--preserve-credentials"] };
        let words = [&["nsenter", "--target", &pid, "--mount"], user, &[BINARY]].concat();
        launch.program(&words).seen_through(self.root())
    }

    /// The file system as the system sees it.
    fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.holder.id()))
    }

    /// A path on one of the disks.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        below(&self.root(), &self.folder).join(name)
    }

    /// Fills a disk to its last byte, with a file that [`Disks::free`] removes.
    pub(crate) fn fill(&self, disk: &str) {
        let filled = Command::new("dd")
            .args(["if=/dev/zero", "bs=4096", "status=none"])
            .arg(format!("of={}", self.path(disk).join("filler").display()))
            .stderr(Stdio::null())
            .status();
        assert!(!filled.unwrap().success(), "the disk does not get full");
    }

    pub(crate) fn free(&self, disk: &str) {
        std::fs::remove_file(self.path(disk).join("filler")).unwrap();
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Everybody else gets the right to mount from a user namespace.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// An absolute path as it is seen through another root.
pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
