//! From the first task to the last: signals, readiness latches, tracked and named tasks, and the order of the end.
//!
//! The first SIGTERM or SIGINT begins to drain: readiness says 503, workers stop taking work, servers go on for the
//! drain delay and then finish what they have. The second signal, or the end of the grace, stops at once.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::config::Lifetimes;
use crate::telemetry::correlation::{Scope, in_scope};
use crate::telemetry::logs::CRITICAL;

/// Shared by everything that runs in the process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    draining: CancellationToken,
    closing: CancellationToken,
    stopped: CancellationToken,
    tasks: TaskTracker,
    latches: AtomicUsize,
    clients_until: OnceLock<Instant>,
    failure: Mutex<Option<String>>,
}

/// How the process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Everything was finished.
    Clean,
    /// A second signal came before everything was finished.
    Interrupted,
    /// The grace ended before everything was finished.
    CutOff,
    /// A task ended that must not.
    Failed(String),
}

impl Lifecycle {
    /// A lifecycle at its beginning: nothing runs, nothing stops.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    /// Cancelled when the end begins: workers stop taking work.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.inner.draining
    }

    /// Cancelled when the drain delay is over: servers stop accepting and finish.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        &self.inner.closing
    }

    /// Cancelled when there is no more time: everything stops where it is.
    #[must_use]
    pub fn stopped(&self) -> &CancellationToken {
        &self.inner.stopped
    }

    /// When the end gives up on clients that are slow to send or to read: half-way between the end of the drain delay
    /// and the end of the grace, so that the rest can still finish. `None` before the end begins.
    #[must_use]
    pub fn clients_until(&self) -> Option<Instant> {
        self.inner.clients_until.get().copied()
    }

    /// Begins the end, as the first signal does. Returns at once; [`Lifecycle::run_to_end`] does the rest.
    pub fn shut_down(&self) {
        self.inner.draining.cancel();
    }

    /// Holds readiness back until the latch is dropped: take one for each start-up step.
    #[must_use]
    pub fn latch(&self) -> Latch {
        self.inner.latches.fetch_add(1, Ordering::AcqRel);
        Latch { lifecycle: self.clone() }
    }

    /// Whether every start-up step has dropped its latch.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.inner.latches.load(Ordering::Acquire) == 0
    }

    /// Runs a task that is waited for at the end. It must run until the drain begins: when it ends earlier, or
    /// panics, the process stops with a failure.
    #[expect(clippy::disallowed_methods, reason = "the place where tasks are tracked and named")]
    pub fn spawn(&self, name: &str, scope: Scope, task: impl Future<Output = ()> + Send + 'static) {
        let lifecycle = self.clone();
        let name = name.to_owned();
        let work = tokio::spawn(in_scope(scope.clone(), task));
        self.inner.tasks.spawn(in_scope(scope, async move {
            let result = tokio::select! {
                result = work => result,
                () = lifecycle.inner.stopped.cancelled() => return,
            };
            match result {
                Err(panic) => lifecycle.fail(&format!("task `{name}` panicked: {panic}")),
                Ok(()) if !lifecycle.is_draining() => lifecycle.fail(&format!("task `{name}` ended unexpectedly")),
                Ok(()) => {}
            }
        }));
    }

    fn fail(&self, reason: &str) {
        error!(target: CRITICAL, "{reason}");
        self.inner.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reason.to_owned());
        self.shut_down();
    }

    /// Waits for a signal or a failure, then drains, closes and waits for the tasks, in the order of the module's
    /// documentation.
    ///
    /// # Errors
    /// The process cannot listen for signals.
    pub async fn run_to_end(&self, lifetimes: Lifetimes) -> std::io::Result<Ending> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: shutting down"),
            _ = interrupt.recv() => info!("SIGINT: shutting down"),
            () = self.inner.draining.cancelled() => {}
        }
        let Lifetimes { drain_delay, shutdown_grace } = lifetimes;
        let now = Instant::now();
        let deadline = now + shutdown_grace;
        self.inner.clients_until.get_or_init(|| now + drain_delay + shutdown_grace.saturating_sub(drain_delay) / 2);
        self.shut_down();
        let ending = tokio::select! {
            () = self.finish(drain_delay) => Ending::Clean,
            _ = terminate.recv() => self.stop_now("second signal", Ending::Interrupted),
            _ = interrupt.recv() => self.stop_now("second signal", Ending::Interrupted),
            () = sleep_until(deadline) => self.stop_now("the shutdown grace is over", Ending::CutOff),
        };
        let failure = self.inner.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(failure.map_or(ending, Ending::Failed))
    }

    async fn finish(&self, drain_delay: Duration) {
        if !drain_delay.is_zero() {
            info!(drain_delay_seconds = drain_delay.as_secs_f64(), "draining: not ready, still serving");
            sleep(drain_delay).await;
        }
        self.inner.closing.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    fn stop_now(&self, reason: &str, ending: Ending) -> Ending {
        warn!(tasks = self.inner.tasks.len(), "{reason}: stopping at once");
        self.inner.closing.cancel();
        self.inner.stopped.cancel();
        ending
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("draining", &self.is_draining())
            .field("tasks", &self.inner.tasks.len())
            .finish_non_exhaustive()
    }
}

/// Holds readiness back until a start-up step is done.
#[derive(Debug)]
pub struct Latch {
    lifecycle: Lifecycle,
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.lifecycle.inner.latches.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes =
        Lifetimes { drain_delay: Duration::from_secs(5), shutdown_grace: Duration::from_secs(25) };

    #[tokio::test(start_paused = true)]
    async fn servers_close_only_after_the_drain_delay() {
        let lifecycle = Lifecycle::new();
        let begun = Instant::now();
        let closed = lifecycle.clone();
        lifecycle.spawn("server", Scope::service("test"), async move {
            closed.closing().cancelled().await;
            assert!(begun.elapsed() >= Duration::from_secs(5));
        });
        lifecycle.shut_down();
        assert_eq!(lifecycle.run_to_end(LIFETIMES).await.unwrap(), Ending::Clean);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_never_ends_is_cut_off_at_the_grace() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("stuck", Scope::service("test"), std::future::pending());
        lifecycle.shut_down();
        assert_eq!(lifecycle.run_to_end(LIFETIMES).await.unwrap(), Ending::CutOff);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_early_fails_the_process() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("worker", Scope::service("test"), async {});
        let ending = lifecycle.run_to_end(LIFETIMES).await.unwrap();
        assert_eq!(ending, Ending::Failed("task `worker` ended unexpectedly".into()));
    }

    #[test]
    fn readiness_waits_for_every_latch() {
        let lifecycle = Lifecycle::new();
        let (first, second) = (lifecycle.latch(), lifecycle.latch());
        drop(first);
        assert!(!lifecycle.is_started());
        drop(second);
        assert!(lifecycle.is_started());
    }
}
