//! How many requests are read at once where the processor is the limit.
//!
//! Then more at once only makes each of them slower, and refusing is no way out, since a refusal has to be read,
//! written and logged like any answer. What is not read costs nothing and waits in its socket: TCP's flow control tells
//! clients.
//!
//! The sign is the lag of the event loop, which is how long a task waits for a thread: microseconds where threads have
//! time to spare, much more where they have more to do than they can or a control group has used up its share. The
//! limit follows it step by step, as those of Envoy's adaptive concurrency and Netflix's concurrency-limits follow
//! latency; a handler that waits for a slow database is no reason to read less.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

/// How often the lag is looked at.
const INTERVAL: Duration = Duration::from_millis(50);
/// The lag from which on less is read.
const LAG: Duration = Duration::from_millis(10);
/// Late tasks in a row that begin a limit; a single one can come from anything.
const LATE_TASKS: u32 = 3;
/// Requests for each core when a limit begins, and the least.
const FIRST_PER_CORE: usize = 128;
const LEAST_PER_CORE: usize = 32;
/// A limit that has grown so far is none.
const MOST: usize = 4096;
/// The part by which a limit becomes smaller or larger.
const STEP: usize = 8;
/// How long a request waits unread. Then it is read and refused.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// One for all services of a process.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    cores: usize,
    is_on: AtomicBool,
    state: Mutex<State>,
}

impl Default for ConcurrencyLimit {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self { cores, is_on: AtomicBool::new(false), state: Mutex::default() }
    }
}

#[derive(Debug, Default)]
struct State {
    limit: usize,
    taken: usize,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// The right to be read and worked on, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Option<Arc<ConcurrencyLimit>>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(limit) = self.0.take() {
            limit.state().taken -= 1;
            limit.hand_out();
        }
    }
}

impl ConcurrencyLimit {
    /// Whether the processor is the limit.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Waits for a permit, in the order of asking. There is none when there is no limit any more, and an error when it
    /// takes too long.
    pub(super) async fn admit(self: Arc<Self>) -> Result<Option<Permit>, Elapsed> {
        let (sender, permit) = oneshot::channel();
        self.state().join(sender);
        self.hand_out();
        Ok(timeout(LONGEST_WAIT, permit).await?.ok())
    }

    /// Follows the lag for ever. To be polled on a thread that is none of the runtime's workers: a worker runs first
    /// what it has spawned itself, and not in its turn.
    pub(crate) async fn watch(self: Arc<Self>) -> Infallible {
        let mut late = 0;
        loop {
            // Both its timer, which a control group holds up, and its turn among the tasks.
            let due = Instant::now() + INTERVAL;
            sleep_until(due).await;
            #[expect(clippy::disallowed_methods, reason = "it is awaited at once")]
            let _ran = tokio::spawn(async {}).await;
            late = late_after(late, due.elapsed());
            self.adapt(late);
        }
    }

    /// Draws the conclusion from the last task; `late` is how many in a row were late.
    fn adapt(self: &Arc<Self>, late: u32) {
        let limit = self.state().limit;
        if !self.is_on() {
            if late >= LATE_TASKS {
                warn!("the processor is the limit: requests wait unread until there is time for them");
                self.set(FIRST_PER_CORE * self.cores);
            }
        } else if late > 0 {
            self.set((limit - limit / STEP).max(LEAST_PER_CORE * self.cores));
        } else if limit < MOST {
            self.set(limit + limit.div_ceil(STEP));
        } else {
            info!("the processor keeps up again");
            self.switch_off();
        }
    }

    pub(super) fn set(self: &Arc<Self>, limit: usize) {
        self.state().limit = limit;
        self.is_on.store(true, Ordering::Relaxed);
        self.hand_out();
    }

    /// Lets everybody go who waits.
    fn switch_off(&self) {
        self.is_on.store(false, Ordering::Relaxed);
        let waiting = std::mem::take(&mut self.state().waiting);
        drop(waiting);
    }

    /// Gives permits that are free to those who wait.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let next = self.state().next();
            let Some(next) = next else { return };
            if let Err(mut permit) = next.send(Permit(Some(Arc::clone(self)))) {
                // Its taker has just gone. Dropped as it is it would come back here.
                permit.0 = None;
                self.state().taken -= 1;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the place of those in front who have gone, so that there are no more of them than of those who wait.
    fn join(&mut self, sender: oneshot::Sender<Permit>) {
        while self.waiting.front().is_some_and(oneshot::Sender::is_closed) {
            self.waiting.pop_front();
        }
        self.waiting.push_back(sender);
    }

    /// Who has waited longest, where there is a permit for him. He may have gone.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        let next = if self.taken < self.limit { self.waiting.pop_front() } else { None };
        self.taken += usize::from(next.is_some());
        next
    }
}

/// How many tasks in a row are late after one with this lag. One that was due in the meantime would have been too: in a
/// rush that makes each task very late, two are enough. One is not, as a machine may stand still for any reason.
fn late_after(late: u32, lag: Duration) -> u32 {
    if lag < LAG {
        return 0;
    }
    late.saturating_add(if lag < INTERVAL { 1 } else { 2 })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn now(limit: &Arc<ConcurrencyLimit>) -> Option<Permit> {
        Arc::clone(limit).admit().now_or_never()?.unwrap()
    }

    #[tokio::test]
    async fn as_many_are_admitted_as_the_limit_says_and_the_others_in_their_order() {
        let limit = Arc::new(ConcurrencyLimit::default());
        limit.set(2);
        let (first, second) = (now(&limit).unwrap(), now(&limit).unwrap());
        assert!(now(&limit).is_none());
        let waiting: Vec<_> = (0..2).map(|_| Box::pin(Arc::clone(&limit).admit())).collect();
        let mut waiting = futures_util::future::join_all(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        limit.set(1);
        drop(first);
        assert!((&mut waiting).now_or_never().is_none(), "the limit is smaller now");
        drop(second);
        assert!((&mut waiting).now_or_never().is_none(), "one of two has its permit");
        limit.set(2);
        assert_eq!(waiting.await.into_iter().filter_map(Result::unwrap).count(), 2);
        assert_eq!(limit.state().taken, 0, "all are given back");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let limit = Arc::new(ConcurrencyLimit::default());
        limit.set(1);
        let _taken = now(&limit).unwrap();
        let begun = Instant::now();
        assert!(Arc::clone(&limit).admit().await.is_err());
        assert_eq!(begun.elapsed(), LONGEST_WAIT);
        let (none, ()) = tokio::join!(Arc::clone(&limit).admit(), async { limit.switch_off() });
        assert!(matches!(none, Ok(None)), "{none:?}");
        assert_eq!(begun.elapsed(), LONGEST_WAIT, "without a limit there is nothing to wait for");
    }

    #[test]
    fn a_limit_comes_with_lag_shrinks_while_it_lasts_and_goes_after_it() {
        let limit = Arc::new(ConcurrencyLimit::default());
        for late in [0, 1, 2, 0, 1, 2] {
            limit.adapt(late);
        }
        assert!(!limit.is_on());
        let sizes: Vec<_> = (LATE_TASKS..200)
            .map(|late| {
                limit.adapt(late);
                limit.state().limit
            })
            .collect();
        assert!(limit.is_on() && sizes.is_sorted_by(|one, next| one >= next) && sizes.first() > sizes.last());
        let least = sizes.last().copied();
        assert_eq!(least, Some(LEAST_PER_CORE * available_parallelism().unwrap().get()));
        let looks = (0..200).take_while(|_| {
            limit.adapt(0);
            limit.is_on()
        });
        assert!((20..60).contains(&looks.count()), "one to three seconds");
    }

    #[test]
    fn a_lag_counts_for_a_look_that_it_took() {
        assert_eq!(late_after(2, LAG / 2), 0);
        assert_eq!(late_after(0, LAG), 1);
        assert_eq!(late_after(1, INTERVAL - LAG / 2), 2);
        assert!(late_after(0, Duration::MAX) < LATE_TASKS, "a machine that slept is no busy one");
        assert!(late_after(late_after(0, INTERVAL), INTERVAL) >= LATE_TASKS);
        assert_eq!(late_after(u32::MAX, Duration::MAX), u32::MAX);
    }

    #[tokio::test]
    async fn the_permit_of_one_who_has_gone_is_for_the_next() {
        let limit = Arc::new(ConcurrencyLimit::default());
        limit.set(1);
        let taken = now(&limit).unwrap();
        let (mut gone, mut next) = (Box::pin(Arc::clone(&limit).admit()), Box::pin(Arc::clone(&limit).admit()));
        assert!((&mut gone).now_or_never().is_none() && (&mut next).now_or_never().is_none());
        drop(gone);
        drop(taken);
        assert!(next.await.unwrap().is_some());
        assert_eq!(limit.state().taken, 0);
    }

    #[tokio::test]
    async fn a_thread_that_is_busy_makes_the_event_loop_late() {
        let limit = Arc::new(ConcurrencyLimit::default());
        let busy = async {
            for _ in 0..2 * LATE_TASKS + 2 {
                // What no handler may do: hold the thread of the event loop.
                #[expect(clippy::disallowed_methods, reason = "the thread is to be blocked")]
                std::thread::sleep(INTERVAL + LAG);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            never = Arc::clone(&limit).watch() => match never {},
            () = busy => {}
        }
        assert!(limit.is_on());
    }
}
