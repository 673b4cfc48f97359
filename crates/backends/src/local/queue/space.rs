//! How much room is left on the queue's disk.

use std::path::Path;

/// What sends leave free. A receive and a deletion need room too, in the log and then in the file: without it a queue
/// that has filled its disk could never be emptied. Far more than the log may grow to before it is moved into the file.
#[cfg(unix)]
const RESERVE: u64 = 64 << 20;

/// Why no message can be taken, where the disk has too little room; on a small disk a quarter of it is kept.
#[cfg(unix)]
pub(super) fn shortage(path: &Path) -> Option<String> {
    let disk = rustix::fs::statvfs(path).ok()?;
    let (free, size) = (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
    let reserve = RESERVE.min(size / 4);
    let mebibytes = |bytes: u64| bytes >> 20;
    (free < reserve).then(|| {
        let (free, reserve) = (mebibytes(free), mebibytes(reserve));
        format!("the disk is full: {free} MiB are free, and {reserve} MiB are kept for taking messages off the queue")
    })
}

/// Elsewhere only a write finds out.
#[cfg(not(unix))]
pub(super) fn shortage(_path: &Path) -> Option<String> {
    None
}
