//! Holds the whole sender back while the service cannot take more, and gives up when that lasts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A service that asks for more is left alone.
const LONGEST_ASKED: Duration = Duration::from_secs(600);
/// Pauses in a row that a service may ask for while it takes nothing.
const MOST_PAUSES: u32 = 30;

/// Nothing more is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

/// One for all messages in work.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    stop: CancellationToken,
    patience: Duration,
}

#[derive(Debug)]
struct State {
    open_at: Instant,
    /// Since when nothing was taken or refused for good, without the pauses that the service asked for.
    stalled_since: Option<Instant>,
    pauses: ExponentialBackoff,
    paused: u32,
    /// Answers that were final.
    finished: u64,
    why: Option<Failure>,
}

impl Gate {
    pub(super) fn new(patience: Duration) -> Self {
        let state =
            State { open_at: Instant::now(), stalled_since: None, pauses: pauses(), paused: 0, finished: 0, why: None };
        Self { state: Mutex::new(state), stop: CancellationToken::new(), patience }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a message may be sent.
    pub(super) async fn pass(&self) -> Result<(), Stopped> {
        loop {
            if self.stop.is_cancelled() {
                return Err(Stopped);
            }
            let open_at = self.state().open_at;
            if open_at <= Instant::now() {
                return Ok(());
            }
            tokio::select! {
                () = sleep_until(open_at) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// A message had its final answer: the service works. Answers how many had.
    pub(super) fn finished(&self) {
        let mut state = self.state();
        state.finished += 1;
        state.stalled_since = None;
        state.paused = 0;
        state.pauses = pauses();
    }

    /// How many messages had their final answer.
    pub(super) fn finished_count(&self) -> u64 {
        self.state().finished
    }

    /// The service could not take a message. Everything pauses; `asked` is its `Retry-After`.
    pub(super) fn setback(&self, asked: Option<Duration>, reason: &str) {
        let now = Instant::now();
        let mut state = self.state();
        let asked = asked.unwrap_or_default();
        if asked > LONGEST_ASKED {
            drop(state);
            return self.stop(Failure::unavailable(format!("the service asks for a pause of {asked:?}: {reason}")));
        }
        if now < state.open_at {
            // One of those that were on their way when the pause began.
            state.open_at = state.open_at.max(now + asked);
            return;
        }
        let since = *state.stalled_since.get_or_insert(now);
        if now.duration_since(since) >= self.patience || state.paused >= MOST_PAUSES {
            drop(state);
            return self.stop(Failure::unavailable(format!("the service takes nothing any more: {reason}")));
        }
        state.paused += 1;
        // The jitter comes on top: not earlier than asked, and not all senders at once.
        let pause = asked + state.pauses.next().unwrap_or(LONGEST_PAUSE);
        state.open_at = now + pause;
        state.stalled_since = Some(since + asked);
    }

    /// Ends the sending; the first reason counts.
    pub(super) fn stop(&self, why: Failure) {
        self.state().why.get_or_insert(why);
        self.stop.cancel();
    }

    /// When [`Gate::stop`] was called.
    pub(super) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Why it was, if it was.
    pub(super) fn why_stopped(&self) -> Option<Failure> {
        self.state().why.take()
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn everything_waits_as_long_as_the_service_asks() {
        let gate = Gate::new(PATIENCE);
        gate.pass().await.unwrap();
        let begun = Instant::now();
        gate.setback(Some(Duration::from_secs(5)), "429");
        gate.setback(None, "one of those on their way");
        gate.pass().await.unwrap();
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_secs(5) && waited < Duration::from_secs(6), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_unless_something_is_taken() {
        let gate = Gate::new(PATIENCE);
        let begun = Instant::now();
        for _ in 0..20 {
            gate.setback(None, "503");
            gate.pass().await.unwrap();
            gate.finished();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "pauses grow although it works");
        let begun = Instant::now();
        while gate.pass().await.is_ok() {
            gate.setback(None, "503 Failed to send message");
        }
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < PATIENCE * 2, "{:?}", begun.elapsed());
        let why = gate.why_stopped().unwrap().to_string();
        assert_eq!(why, "the service takes nothing any more: 503 Failed to send message");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_that_are_asked_for_do_not_cost_patience_but_have_an_end() {
        let gate = Gate::new(Duration::from_secs(10));
        let begun = Instant::now();
        while gate.pass().await.is_ok() {
            gate.setback(Some(Duration::from_secs(60)), "429");
        }
        assert!(begun.elapsed() > Duration::from_secs(60), "{:?}", begun.elapsed());
        let gate = Gate::new(PATIENCE);
        gate.setback(Some(Duration::from_secs(3600)), "429");
        assert_eq!(gate.pass().await, Err(Stopped));
    }
}
