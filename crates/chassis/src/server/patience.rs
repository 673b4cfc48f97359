//! A deadline that costs next to nothing to move.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long something that does not happen is waited for. The timer is set when it would fire at the wrong side of
/// the deadline and not each time that the deadline moves, which is at every request.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// When the wait ends, and the limit that it began with.
    deadline: Option<(Instant, Duration)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// It happened; the next wait begins anew.
    pub(super) fn renew(&mut self) {
        self.deadline = None;
    }

    /// The same, and the next wait began now.
    pub(super) fn restart(&mut self, limit: Duration) {
        self.deadline = Some((Instant::now() + limit, limit));
    }

    /// Ready when `limit` is over since the wait began, or `latest` has come.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, limit: Duration, latest: Option<Instant>) -> Poll<()> {
        let deadline = match self.deadline {
            // The clock need not be asked: a wait that began earlier with this limit or a shorter one ends earlier.
            Some((deadline, shorter)) if shorter <= limit => deadline,
            Some((deadline, _)) => deadline.min(Instant::now() + limit),
            None => Instant::now() + limit,
        };
        let deadline = latest.map_or(deadline, |latest| deadline.min(latest));
        self.deadline = Some((deadline, limit));
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn waited(patience: &mut Patience, limit: Duration, latest: Option<Instant>) -> Duration {
        let begun = Instant::now();
        poll_fn(|context| patience.poll(context, limit, latest)).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_wait_has_its_whole_time() {
        let mut patience = Patience::default();
        let early = poll_fn(|context| patience.poll(context, LIMIT, None));
        assert!(tokio::time::timeout(LIMIT / 2, early).await.is_err());
        patience.renew();
        assert!(waited(&mut patience, LIMIT, None).await >= LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_goes_on_does_not_start_again() {
        let mut patience = Patience::default();
        let early = poll_fn(|context| patience.poll(context, LIMIT, None));
        assert!(tokio::time::timeout(LIMIT / 2, early).await.is_err());
        assert!(waited(&mut patience, LIMIT, None).await <= LIMIT / 2 + Duration::from_millis(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_can_become_shorter() {
        let mut patience = Patience::default();
        let early = poll_fn(|context| patience.poll(context, LIMIT, None));
        assert!(tokio::time::timeout(LIMIT / 10, early).await.is_err());
        assert!(waited(&mut patience, LIMIT / 10, None).await <= LIMIT / 5);
        patience.renew();
        let latest = Instant::now() + LIMIT / 2;
        assert!(waited(&mut patience, LIMIT, Some(latest)).await <= LIMIT / 2 + Duration::from_millis(2));
    }
}
