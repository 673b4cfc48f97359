//! The turn of one connection to be read, where the processor is the limit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::error::Elapsed;

use super::concurrency::{ConcurrencyLimit, Permit};

/// How the wait for a permit ended: without one where there is no limit any more, with an error where it took too long.
pub(super) type Admission = Result<Option<Permit>, Elapsed>;

/// From the moment that a request is there until it is read.
pub(super) struct Turn {
    limit: Arc<ConcurrencyLimit>,
    state: State,
}

enum State {
    None,
    Awaited(Instant, Pin<Box<dyn Future<Output = Admission> + Send>>),
    Here(Admission),
}

impl Turn {
    pub(super) fn new(limit: Arc<ConcurrencyLimit>) -> Self {
        Self { limit, state: State::None }
    }

    /// Whether a request has to wait for its turn.
    pub(super) fn is_needed(&self) -> bool {
        match self.state {
            State::None => self.limit.is_on(),
            State::Awaited(..) => true,
            State::Here(_) => false,
        }
    }

    /// Ready when it has come, with the time that it took.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Duration> {
        if matches!(self.state, State::None) {
            self.state = State::Awaited(Instant::now(), Box::pin(Arc::clone(&self.limit).admit()));
        }
        let State::Awaited(begun, admission) = &mut self.state else { return Poll::Ready(Duration::ZERO) };
        let (admission, waited) = (ready!(admission.as_mut().poll(context)), begun.elapsed());
        self.state = State::Here(admission);
        Poll::Ready(waited)
    }

    /// A request is in work by it; `None` where none was needed.
    pub(super) fn begin(&mut self) -> Option<Admission> {
        match std::mem::replace(&mut self.state, State::None) {
            State::Here(admission) => Some(admission),
            State::None | State::Awaited(..) => None,
        }
    }

    /// There is no request yet.
    pub(super) fn give_back(&mut self) {
        drop(self.begin());
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}
