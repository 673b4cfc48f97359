//! How many files the process may open: each connection is one.

/// Files that are not connections: the stores', the logs', the listeners'.
const OTHER_FILES: u64 = 128;

/// Raises the limit as far as the system lets us. How many connections there can be; `None` when there is no limit.
#[cfg(unix)]
pub(super) fn room_for_connections() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // The soft limit is what old programs can bear that wait with select(2); nothing here does.
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current }?;
    // A quarter stays free where there are few.
    let room = files.saturating_sub(OTHER_FILES.min(files / 4));
    Some(usize::try_from(room).unwrap_or(usize::MAX))
}

/// Not known on this system.
#[cfg(not(unix))]
pub(super) fn room_for_connections() -> Option<usize> {
    None
}
