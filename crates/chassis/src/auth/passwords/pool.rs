//! Threads that do nothing but hash. The runtime's own blocking threads would take any number of calls, and each would
//! allocate its memory anew.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::Output;
use tokio::sync::oneshot;

use super::PasswordError;
use super::memory::Memory;
use super::metrics::PoolMetrics;

#[cfg(test)]
mod tests;

/// How long a thread without work keeps its memory. It holds what is left of a password, and a service where nobody logs
/// in shall be small; while one login follows another, allocating would cost each of them.
const MEMORY_KEPT: Duration = Duration::from_secs(1);

/// How much lower the priority of the threads is, of 19 at most. Logins may use all that is idle, and a tenth of a core
/// where everything is busy; requests that cost little run before them. Measured on two cores under a flood of logins:
/// the slowest hundredth of small requests takes 4.2 ms at the same priority, 0.3 to 1.4 ms at this one, and the number of
/// logins stays the same.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// How many passwords are hashed at once, and how many calls may wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// Threads. More than there are cores hash no faster; each takes 19 MiB while it has work.
    pub threads: NonZeroUsize,
    /// Calls that wait while all threads are busy.
    pub waiting: usize,
}

impl PoolSize {
    /// Calls that one thread works off within two seconds, at 30 ms each: a hash takes 20 ms on a fast core.
    const WAITING_PER_THREAD: usize = 64;

    /// So many calls may wait that nobody waits for much longer than two seconds.
    #[must_use]
    pub fn of(threads: NonZeroUsize) -> Self {
        Self { threads, waiting: threads.get().saturating_mul(Self::WAITING_PER_THREAD) }
    }
}

/// What a thread does with its memory.
pub(super) type Work = Box<dyn FnOnce(&mut Memory) -> Result<Output, PasswordError> + Send>;

/// The threads. They end when it is dropped, after the hash that they are at.
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Calls that are taken at once, waiting or in work.
    places: usize,
    metrics: PoolMetrics,
}

#[derive(Default)]
struct State {
    /// In the order of their tickets.
    waiting: VecDeque<Job>,
    last_ticket: u64,
    busy: usize,
    closed: bool,
}

struct Job {
    ticket: u64,
    work: Work,
    answer: oneshot::Sender<Result<Output, PasswordError>>,
}

/// Takes the work of a caller that leaves out of the queue.
struct Place<'a> {
    shared: &'a Shared,
    ticket: u64,
}

impl Pool {
    /// Starts the threads. Each keeps `usual_blocks` of memory while it has work.
    pub(super) fn start(size: PoolSize, usual_blocks: usize, metrics: PoolMetrics) -> io::Result<Self> {
        let places = size.threads.get().saturating_add(size.waiting);
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), places, metrics };
        let pool = Self { shared: Arc::new(shared) };
        for _ in 0..size.threads.get() {
            let (shared, memory) = (Arc::clone(&pool.shared), Memory::new(usual_blocks));
            let builder = std::thread::Builder::new().name("password-hasher".to_owned());
            builder.spawn(move || {
                step_back();
                shared.work_until_closed(memory);
            })?;
        }
        Ok(pool)
    }

    /// Has a thread do the work, in the order of asking; refuses at once when too many wait. Whoever drops this future
    /// before a thread has begun takes the work back.
    pub(super) async fn run(&self, work: Work) -> Result<Output, PasswordError> {
        let (answer, result) = oneshot::channel();
        let _place = self.shared.enqueue(work, answer)?;
        result.await.unwrap_or_else(|_| Err(PasswordError::Failed("its thread has ended".into())))
    }
}

impl Shared {
    fn enqueue(
        &self,
        work: Work,
        answer: oneshot::Sender<Result<Output, PasswordError>>,
    ) -> Result<Place<'_>, PasswordError> {
        let mut state = self.lock();
        if state.busy + state.waiting.len() >= self.places {
            self.metrics.refused.inc();
            return Err(PasswordError::Busy);
        }
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.waiting.push_back(Job { ticket, work, answer });
        self.count(&state);
        drop(state);
        self.changed.notify_one();
        Ok(Place { shared: self, ticket })
    }

    fn work_until_closed(&self, mut memory: Memory) {
        while let Some(Job { work, answer, .. }) = self.next(&mut memory) {
            let timer = self.metrics.seconds.start_timer();
            // The hook has logged the panic. The next one in the queue has nothing to do with it.
            let result = catch_unwind(AssertUnwindSafe(|| work(&mut memory)))
                .unwrap_or_else(|_| Err(PasswordError::Failed("its thread has panicked".into())));
            timer.observe_duration();
            memory.shrink();
            // Before the answer: whoever has it may come again.
            self.lock().busy -= 1;
            let _left = answer.send(result);
        }
    }

    /// Waits for work; without any, gives the memory back.
    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                state.busy += 1;
                self.count(&state);
                return Some(job);
            }
            if memory.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let idle = self.changed.wait_timeout(state, MEMORY_KEPT).unwrap_or_else(PoisonError::into_inner);
            state = idle.0;
            if idle.1.timed_out() && state.waiting.is_empty() {
                drop(state);
                memory.give_back();
                state = self.lock();
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "no queue is so long")]
    fn count(&self, state: &State) {
        self.metrics.waiting.set(state.waiting.len() as f64);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Ok(at) = state.waiting.binary_search_by_key(&self.ticket, |job| job.ticket) else { return };
        let job = state.waiting.remove(at);
        self.shared.count(&state);
        drop(state);
        drop(job);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("places", &self.shared.places).finish_non_exhaustive()
    }
}

/// Lowers the priority of the calling thread. Only on Linux is that the thread's own (setpriority(2), "C library/kernel
/// differences"); elsewhere the whole process would step back.
fn step_back() {
    #[cfg(target_os = "linux")]
    // A sandbox may forbid it. Passwords are hashed all the same.
    let _forbidden = rustix::process::nice(NICENESS);
}
