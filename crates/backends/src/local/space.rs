//! How much room a disk has.

use std::io;
use std::path::Path;

/// What sends leave free on the queue's disk. A receive and a deletion need room too, in the log and then in the file:
/// without it a queue that has filled its disk could never be emptied.
#[cfg(unix)]
const RESERVE: u64 = 64 << 20;

/// A disk as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Bytes that the queue leaves free; on a small disk a quarter of it.
    pub reserve: u64,
    /// Tells disks apart.
    pub id: u64,
}

impl Disk {
    /// The disk on which `path` lies; `None` where there is nothing, or the system does not tell.
    #[cfg(unix)]
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(path).ok()?;
        let (free, size) = (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
        Some(Self { free, reserve: RESERVE.min(size / 4), id: disk.f_fsid })
    }

    /// Elsewhere only a write finds out.
    #[cfg(not(unix))]
    #[must_use]
    pub fn of(_path: &Path) -> Option<Self> {
        None
    }
}

/// Whether this process may make files in a folder, as far as that can be told without making one.
#[cfg(unix)]
pub(super) fn check_writable(folder: &Path) -> io::Result<()> {
    use rustix::fs::Access;
    Ok(rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

#[cfg(not(unix))]
pub(super) fn check_writable(_folder: &Path) -> io::Result<()> {
    Ok(())
}
