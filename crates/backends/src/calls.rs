//! So many calls at once, each with its end in time: what every store does with its database.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::gather::Refusal;

/// For a whole call, however many requests to the database it is.
const TIME_LIMIT: Duration = Duration::from_millis(4_500);
/// Calls at once; more is refused.
const MOST_CALLS: usize = 4096;

/// The calls of one store.
#[derive(Debug, Clone)]
pub(crate) struct Calls(Arc<Semaphore>);

impl Default for Calls {
    fn default() -> Self {
        Self::at_most(MOST_CALLS)
    }
}

impl Calls {
    pub(crate) fn at_most(calls: usize) -> Self {
        Self(Arc::new(Semaphore::new(calls)))
    }

    /// One call, with its end in time.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Refusal> {
        let Ok(_permit) = self.0.try_acquire() else { return Err(Refusal::Full) };
        timeout(TIME_LIMIT, work).await.map_err(|_| Refusal::TimedOut)
    }

    /// One call whose work goes on to its end although nobody waits for it any more, for drivers that must not be
    /// interrupted. It counts until then.
    pub(crate) async fn run_to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else { return Err(Refusal::Full) };
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends in the driver's own time limits, and its permit counts it"
        )]
        let working = tokio::spawn(async move {
            let _permit = permit;
            work.await
        });
        match timeout(TIME_LIMIT, working).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_panicked)) => Err(Refusal::Closed),
            Err(_elapsed) => Err(Refusal::TimedOut),
        }
    }
}
