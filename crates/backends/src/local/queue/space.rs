//! How much room is left on the queue's disk.

use std::path::Path;

use rusqlite::Connection;

/// What sends leave free. A receive and a deletion need room too, in the log and then in the file: without it a queue
/// that has filled its disk could never be emptied. Far more than the log may grow to before it is moved into the file.
#[cfg(unix)]
const RESERVE: u64 = 64 << 20;

/// Why no message can be taken, where the disk has too little room; on a small disk a quarter of it is kept. What
/// deleted messages left free within the file counts as room.
#[cfg(unix)]
pub(super) fn shortage(path: &Path, connection: Option<&Connection>) -> Option<String> {
    let disk = rustix::fs::statvfs(path).ok()?;
    let (free, size) = (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
    let reserve = RESERVE.min(size / 4);
    if free >= reserve {
        return None;
    }
    let free = free.saturating_add(connection.map_or(0, free_in_file));
    (free < reserve).then(|| {
        let (free, reserve) = (free >> 20, reserve >> 20);
        format!("the disk is full: {free} MiB are free, and {reserve} MiB are kept for taking messages off the queue")
    })
}

#[cfg(unix)]
fn free_in_file(connection: &Connection) -> u64 {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or(0).unsigned_abs();
    number("PRAGMA freelist_count").saturating_mul(number("PRAGMA page_size"))
}

/// Elsewhere only a write finds out.
#[cfg(not(unix))]
pub(super) fn shortage(_path: &Path, _connection: Option<&Connection>) -> Option<String> {
    None
}
