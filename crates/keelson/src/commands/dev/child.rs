//! The process that serves: it gets the sockets as sd_listen_fds(3) says, and tells when it is ready as sd_notify(3)
//! says.

use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Instant;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::{Child, ChildStdin};

use super::program::Program;
use crate::failure::Failure;

/// The first of the sockets, which the protocol fixes.
const FIRST_SOCKET: RawFd = 3;

/// Starts processes on the same sockets.
pub(super) struct Launcher {
    arguments: Vec<OsString>,
    sockets: Vec<(String, OwnedFd)>,
    /// Where they tell that they are ready. Not among what is built, whose path may be longer than such an address may
    /// be.
    folder: TempDir,
    started: u32,
}

/// A process that serves.
pub(super) struct Running {
    child: Child,
    /// It ends when this does, which is when this process does, however it does.
    _input: Option<ChildStdin>,
    told: UnixDatagram,
    is_ready: bool,
    is_ending: bool,
    pub(super) program: Arc<Program>,
    pub(super) since: Instant,
}

/// What a process tells.
pub(super) enum Event {
    /// All its services are ready.
    Ready,
    Ended(io::Result<ExitStatus>),
}

impl Launcher {
    pub(super) fn new(arguments: Vec<OsString>, sockets: Vec<(String, OwnedFd)>) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("keelson-dev-").tempdir();
        let folder =
            folder.map_err(|error| Failure::failed(format!("no folder for temporary files (TMPDIR): {error}")))?;
        Ok(Self { arguments, sockets, folder, started: 0 })
    }

    /// How many sockets the processes share.
    pub(super) fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Starts a program; `is_heard` passes on what it writes to standard output.
    pub(super) fn start(&mut self, program: Arc<Program>, is_heard: bool) -> io::Result<Running> {
        self.started += 1;
        let told_at = self.folder.path().join(self.started.to_string());
        let told = UnixDatagram::bind(&told_at)?;
        let names: Vec<&str> = self.sockets.iter().map(|(name, _)| name.as_str()).collect();
        let mut command = Command::new(&program.path);
        command.args(&self.arguments).stdin(Stdio::piped()).env("NOTIFY_SOCKET", &told_at);
        command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        // Nobody knows its number before it runs. Whoever reads the variables takes them for its own without that one.
        command.env_remove("LISTEN_PID").env_remove("LISTEN_FDS_FIRST_FD");
        // Ctrl-C goes to this process alone, which ends the other one in its own time.
        command.process_group(0);
        if !is_heard {
            command.stdout(Stdio::null());
        }
        let mappings = (FIRST_SOCKET..)
            .zip(&self.sockets)
            .map(|(child_fd, (_, socket))| Ok(FdMapping { parent_fd: socket.try_clone()?, child_fd }));
        command.fd_mappings(mappings.collect::<io::Result<_>>()?).map_err(io::Error::other)?;
        let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
        Ok(Running {
            _input: child.stdin.take(),
            child,
            told,
            is_ready: false,
            is_ending: false,
            program,
            since: Instant::now(),
        })
    }
}

impl Running {
    /// Waits until it is ready, which it is once, or has ended. Nothing is lost when the wait is given up.
    pub(super) async fn event(&mut self) -> Event {
        tokio::select! {
            // It may be ready, and end.
            biased;
            () = told_ready(&self.told), if !self.is_ready => {
                self.is_ready = true;
                Event::Ready
            }
            ended = self.child.wait() => Event::Ended(ended),
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Lets it finish what it has begun, and end. Says so once: a second signal would tell it to finish nothing.
    pub(super) fn terminate(&mut self) {
        if !std::mem::replace(&mut self.is_ending, true)
            && let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
        {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Ends it where it is.
    pub(super) fn kill(&mut self) {
        let _ = self.child.start_kill();
    }
}

async fn told_ready(told: &UnixDatagram) {
    let mut text = [0; 1024];
    loop {
        match told.recv(&mut text).await {
            Ok(length) if is_ready(text.get(..length).unwrap_or_default()) => return,
            Ok(_) => {}
            Err(_) => std::future::pending().await,
        }
    }
}

fn is_ready(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n').any(|line| line == b"READY=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_one_line_among_others() {
        assert!(is_ready(b"READY=1") && is_ready(b"STATUS=up\nREADY=1\n"));
        assert!(!is_ready(b"STATUS=READY=1\n") && !is_ready(b"STOPPING=1"));
    }
}
