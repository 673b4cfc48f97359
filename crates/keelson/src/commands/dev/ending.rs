//! How things end: what asks for that, and a process that is let finish.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use super::child::Running;
use super::console::{complain, say, took};

/// When a wait is long enough to be explained.
const LONG_WAIT: Duration = Duration::from_secs(2);
/// After the grace, to write the last lines of the log.
const BEYOND_GRACE: Duration = Duration::from_secs(5);

/// Lets a process finish, for as long as its own grace and a little longer.
pub(super) async fn end(running: &mut Running, grace: Duration) {
    running.terminate();
    if timeout(LONG_WAIT, running.ended()).await.is_ok() {
        return;
    }
    say(&format!("requests are still in work: waiting for them, up to {} (SHUTDOWN_GRACE)", took(grace)));
    if timeout(grace + BEYOND_GRACE, running.ended()).await.is_err() {
        complain("the process does not end: killing it");
        running.kill();
        let _ = running.ended().await;
    }
}

pub(super) fn described(ended: &io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => format!("ended ({status})"),
        Err(error) => format!("was lost ({error})"),
    }
}

/// Signals that ask for the end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
