//! Creates files and makes them durable: the least that an archive of files on this disk has to do.
//!
//! For each file one create, one write, one fsync of it and one of its folder. The product writes to a temporary name
//! first and links it, so that no reader sees half an object; a loop can be told to do so too.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

/// Writes for a while and prints how many files there are, the seconds that it took, and the nanoseconds on a core.
#[expect(clippy::print_stdout, reason = "the counts are the result")]
pub(super) fn run(folder: &Path, writers: usize, bytes: usize, length: Duration, linked: bool) -> Result<()> {
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary)?;
    let temporary = linked.then_some(temporary.as_path());
    let body = vec![b'x'; bytes];
    let next = AtomicU64::new(0);
    let begun = Instant::now();
    let done = std::thread::scope(|scope| {
        let writer = || {
            let mut done = 0;
            while begun.elapsed() < length {
                write(folder, temporary, next.fetch_add(1, Ordering::Relaxed), &body)?;
                done += 1;
            }
            Ok::<u64, std::io::Error>(done)
        };
        let writers: Vec<_> = (0..writers).map(|_| scope.spawn(writer)).collect();
        writers
            .into_iter()
            .map(|it| it.join().ok().context("a writer panicked")?.context("a file"))
            .sum::<Result<u64>>()
    })?;
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = cpu.tv_sec * 1_000_000_000 + cpu.tv_nsec;
    println!("{done} {} {cpu}", begun.elapsed().as_secs_f64());
    Ok(())
}

fn write(folder: &Path, temporary: Option<&Path>, number: u64, body: &[u8]) -> std::io::Result<()> {
    let path = folder.join(format!("{number:036}.json"));
    let first = temporary.map_or_else(|| path.clone(), |temporary| temporary.join(number.to_string()));
    let mut file = File::options().write(true).create_new(true).open(&first)?;
    file.write_all(body)?;
    file.sync_all()?;
    if temporary.is_some() {
        fs::hard_link(&first, &path)?;
        fs::remove_file(&first)?;
    }
    File::open(folder)?.sync_all()
}
