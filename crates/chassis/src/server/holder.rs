//! Which process listens on a port, where the system lets us see it.

/// `name (pid 123)` of the process that listens on `port`.
#[cfg(target_os = "linux")]
pub(super) fn find_holder(port: u16) -> Option<String> {
    use procfs::net::{TcpState, tcp, tcp6};
    use procfs::process::{FDTarget, Process, all_processes};

    let sockets = tcp().unwrap_or_default().into_iter().chain(tcp6().unwrap_or_default());
    let listening = |it: &procfs::net::TcpNetEntry| it.state == TcpState::Listen && it.local_address.port() == port;
    let inode = sockets.into_iter().find(listening)?.inode;
    let holds = |process: &Process| {
        let is_it = |target: &FDTarget| matches!(target, FDTarget::Socket(socket) if *socket == inode);
        process.fd().is_ok_and(|open| open.flatten().any(|fd| is_it(&fd.target)))
    };
    let process = all_processes().ok()?.flatten().find(holds)?;
    let name = process.stat().map_or_else(|_| "a process".to_owned(), |stat| stat.comm);
    Some(format!("{name} (pid {})", process.pid()))
}

/// Not to be seen on this system.
#[cfg(not(target_os = "linux"))]
pub(super) fn find_holder(_port: u16) -> Option<String> {
    None
}
