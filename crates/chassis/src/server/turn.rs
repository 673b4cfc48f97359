//! The turn of one connection to be read, where the processor is the limit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::error::Elapsed;

use super::concurrency::{ConcurrencyLimit, Permit};

/// From the moment that a request is there until its answer is.
pub(super) struct Turn {
    limit: Arc<ConcurrencyLimit>,
    state: State,
}

type Admission = Result<Option<Permit>, Elapsed>;

enum State {
    None,
    Awaited(Pin<Box<dyn Future<Output = Admission> + Send>>),
    Here { admission: Admission, is_used: bool },
}

impl Turn {
    pub(super) fn new(limit: Arc<ConcurrencyLimit>) -> Self {
        Self { limit, state: State::None }
    }

    /// Whether a request has to wait for its turn.
    pub(super) fn is_needed(&self) -> bool {
        match self.state {
            State::None => self.limit.is_on(),
            State::Awaited(_) => true,
            State::Here { .. } => false,
        }
    }

    /// Ready when it has come.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if matches!(self.state, State::None) {
            self.state = State::Awaited(Box::pin(Arc::clone(&self.limit).admit()));
        }
        if let State::Awaited(permit) = &mut self.state {
            let admission = ready!(permit.as_mut().poll(context));
            self.state = State::Here { admission, is_used: false };
        }
        Poll::Ready(())
    }

    /// A request is in work by it. Whether that waited too long.
    pub(super) fn begin(&mut self) -> bool {
        let State::Here { admission, is_used } = &mut self.state else { return false };
        *is_used = true;
        admission.is_err()
    }

    /// The request is answered, if there was one.
    pub(super) fn end(&mut self) {
        if matches!(self.state, State::Here { is_used: true, .. }) {
            self.state = State::None;
        }
    }

    /// There is no request.
    pub(super) fn give_back(&mut self) {
        if matches!(self.state, State::Here { is_used: false, .. }) {
            self.state = State::None;
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}
