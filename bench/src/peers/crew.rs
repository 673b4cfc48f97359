//! Threads that do the same thing again and again for a while.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

/// Has so many threads work, each with what `worker` gives it, and prints how often they did it, the seconds that it took,
/// and the nanoseconds on a core.
#[expect(clippy::print_stdout, reason = "the counts are the result")]
pub(super) fn run<W: FnMut() -> Result<()> + Send>(
    threads: usize,
    length: Duration,
    worker: impl Fn() -> Result<W>,
) -> Result<()> {
    let workers = (0..threads).map(|_| worker()).collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    let done = std::thread::scope(|scope| {
        let thread = |mut work: W| {
            let mut done = 0;
            while begun.elapsed() < length {
                work()?;
                done += 1;
            }
            Ok(done)
        };
        let threads: Vec<_> = workers.into_iter().map(|work| scope.spawn(move || thread(work))).collect();
        threads.into_iter().map(|it| it.join().ok().context("a thread panicked")?).sum::<Result<u64>>()
    })?;
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = cpu.tv_sec * 1_000_000_000 + cpu.tv_nsec;
    println!("{done} {} {cpu}", begun.elapsed().as_secs_f64());
    Ok(())
}
