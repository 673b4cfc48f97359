//! A clock that tests turn, in the real binary: a library between it and the kernel adds what a file says to every time
//! that is read. Nothing of the product knows about it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use chassis::testing::require;

use crate::launch::Launch;

/// The time of one launch, ahead of the machine's by as much as it was turned.
pub(crate) struct TurnedClock {
    file: File,
    ahead: Duration,
}

impl TurnedClock {
    /// The launch with such a clock; `None`, after saying so, where libraries cannot be put in front of others.
    pub(crate) fn of(launch: Launch) -> Option<(Launch, Self)> {
        let library = library()?;
        let path = launch.path("clock");
        fs::write(&path, 0_i64.to_ne_bytes()).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let launch = launch.env("LD_PRELOAD", library.to_str()?).env("TURNED_CLOCK", path.to_str()?);
        Some((launch, Self { file, ahead: Duration::ZERO }))
    }

    /// Turns it forward. Timers that run meanwhile end with it.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.ahead += by;
        let nanos = i64::try_from(self.ahead.as_nanos()).unwrap();
        // Into the same file, which the process has in its memory.
        self.file.write_all_at(&nanos.to_ne_bytes(), 0).unwrap();
    }
}

/// Built once for each test binary, with the C compiler that building the product needs anyway.
fn library() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_deref()
}

fn build() -> Option<PathBuf> {
    if !require("LD_PRELOAD of Linux", cfg!(target_os = "linux")) {
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/turned_clock.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("turned-clock.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    let compiled = compiler.output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Some(library)
}
