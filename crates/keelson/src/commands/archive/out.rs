//! Standard output for as many lines as there are: buffered, ended quietly when nobody reads, never in the way of
//! Ctrl-C. And the progress of a long look, on a terminal alone.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, sleep_until};

use crate::failure::Failure;
use crate::output::{print_notice, printable};

/// Bytes that are written together.
const BUFFERED: usize = 16 << 10;
/// How long a line waits for others.
const LINGER: Duration = Duration::from_millis(100);
/// How long a look takes before its progress is shown.
const QUIET: Duration = Duration::from_secs(1);

/// Why no more is shown.
#[derive(Debug)]
pub(super) enum Halt {
    /// Nobody reads any more, which is no failure.
    Closed,
    Failed(Failure),
}

impl<F: Into<Failure>> From<F> for Halt {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

/// What the user sees.
#[derive(Debug)]
pub(super) struct Out {
    buffer: Vec<u8>,
    /// When the buffer is written at the latest.
    due: Option<Instant>,
    bar: ProgressBar,
    begun: Instant,
    is_terminal: bool,
}

impl Out {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let is_terminal = io::stdout().is_terminal();
        Self { buffer: Vec::new(), due: None, bar, begun: Instant::now(), is_terminal }
    }

    /// A line of a result, as it is. But a terminal obeys what a program gets as it is.
    pub(super) async fn line(&mut self, text: impl AsRef<[u8]>) -> Result<(), Halt> {
        let text = text.as_ref();
        if self.is_terminal {
            let text = String::from_utf8_lossy(text);
            let lines: Vec<_> = text.lines().map(printable).collect();
            self.buffer.extend_from_slice(lines.join("\n").as_bytes());
        } else {
            self.buffer.extend_from_slice(text);
        }
        self.buffer.push(b'\n');
        self.due.get_or_insert_with(|| Instant::now() + LINGER);
        if self.buffer.len() < BUFFERED { Ok(()) } else { self.flush().await }
    }

    /// Ends when the buffer should be written.
    pub(super) async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Writes in another thread: a reader that has stopped must not keep Ctrl-C from being heard.
    pub(super) async fn flush(&mut self) -> Result<(), Halt> {
        let (buffer, bar) = (std::mem::take(&mut self.buffer), self.bar.clone());
        self.due = None;
        if buffer.is_empty() {
            return Ok(());
        }
        let write = move || {
            bar.suspend(|| {
                let mut out = io::stdout().lock();
                out.write_all(&buffer).and_then(|()| out.flush())
            })
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(Halt::Closed),
            Ok(Err(error)) => Err(Failure::failed(format!("standard output cannot be written: {error}")).into()),
            Err(error) => Err(Failure::failed(format!("standard output cannot be written: {error}")).into()),
        }
    }

    /// Writes what is left, and takes the progress away.
    pub(super) async fn finish(&mut self) -> Result<(), Halt> {
        self.bar.finish_and_clear();
        self.flush().await
    }

    /// Takes the progress away until there is more of it, such as for a question.
    pub(super) fn pause(&self) {
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// A line on standard error, above the progress.
    pub(super) fn say(&self, text: &str) {
        self.bar.suspend(|| print_notice(&printable(text)));
    }

    /// How far a look is, once it takes long.
    pub(super) fn progress(&self, so_far: impl std::fmt::Display) {
        if self.begun.elapsed() < QUIET || !io::stderr().is_terminal() {
            return;
        }
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_message(so_far.to_string());
        self.bar.tick();
    }
}
