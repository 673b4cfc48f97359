//! Creates files and makes them durable: the least that an archive of files on this disk has to do.
//!
//! For each file one create, one write, one fsync of it and one of its folder. The product writes to a temporary name
//! first and links it, so that no reader sees half an object; a loop can be told to do so too.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::crew;

/// Writes for a while.
pub(super) fn run(folder: &Path, writers: usize, bytes: usize, length: Duration, linked: bool) -> Result<()> {
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary)?;
    let temporary = linked.then_some(temporary.as_path());
    let body = vec![b'x'; bytes];
    let next = AtomicU64::new(0);
    let write = || write(folder, temporary, next.fetch_add(1, Ordering::Relaxed), &body).context("a file");
    crew::run(writers, length, || Ok(write))
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
