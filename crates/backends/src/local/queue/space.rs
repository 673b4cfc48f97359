//! How much room is left on the queue's disk.

use std::path::Path;

use rusqlite::Connection;

#[cfg(unix)]
use crate::local::Disk;

/// What a look at the disk finds.
pub(super) enum Room {
    /// All is well.
    Plenty,
    /// Enough for messages, as deleted ones left room within the file. The log must stay short.
    InFile,
    /// No message can be taken, and why.
    Short(String),
}

/// Looks at the disk. `log_bytes` of the log will have to be moved into the file, which may grow by as much. On a small
/// disk a quarter of it is kept.
#[cfg(unix)]
pub(super) fn look(path: &Path, connection: Option<&Connection>, log_bytes: u64) -> Room {
    let Some(disk) = Disk::of(path) else { return Room::Plenty };
    let (free, reserve) = (disk.free.saturating_sub(log_bytes), disk.reserve);
    if free >= reserve {
        return Room::Plenty;
    }
    let in_file = connection.map_or(0, free_in_file);
    if free >= reserve / 2 && free.saturating_add(in_file) >= reserve {
        return Room::InFile;
    }
    let (free, reserve) = (free >> 20, reserve >> 20);
    Room::Short(format!(
        "the disk is full: {free} MiB are free, and {reserve} MiB are kept for taking messages off the queue"
    ))
}

#[cfg(unix)]
fn free_in_file(connection: &Connection) -> u64 {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or(0).unsigned_abs();
    number("PRAGMA freelist_count").saturating_mul(number("PRAGMA page_size"))
}

/// Elsewhere only a write finds out.
#[cfg(not(unix))]
pub(super) fn look(_path: &Path, _connection: Option<&Connection>, _log_bytes: u64) -> Room {
    Room::Plenty
}
