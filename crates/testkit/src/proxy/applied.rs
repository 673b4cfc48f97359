//! Tells the owner of the proxy that a change holds.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The proxy has a thread of its own and answers in microseconds; longer waits mean that the machine is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// The number of the newest order that is carried out.
#[derive(Debug, Default)]
pub(super) struct Applied {
    version: Mutex<u64>,
    changed: Condvar,
}

impl Applied {
    pub(super) fn tell(&self, version: u64) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
        self.changed.notify_all();
    }

    /// Blocks the thread, for a moment.
    pub(super) fn wait_for(&self, version: u64) {
        let guard = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let _applied = self.changed.wait_timeout_while(guard, PATIENCE, |applied| *applied < version);
    }
}
