//! The bounded buffer between those who log and the streams and files: a line is copied in under a short lock, one
//! thread carries full buffers out. A stuck or failing output costs lines, which are counted, never a request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::output::Outputs;

/// Bytes that may wait to be written; a line that does not fit is dropped.
const CAPACITY: usize = 4 * 1024 * 1024;
/// Bytes that are written without waiting for more.
const FLUSH_BYTES: usize = 64 * 1024;
/// How long a line waits for more at most.
const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// How long a flush waits for an output that may be stuck.
const PATIENCE: Duration = Duration::from_secs(2);
/// Memory that a buffer keeps after a burst.
const KEPT_BYTES: usize = 256 * 1024;

/// A finished line, as each output wants it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// For the stream.
    pub(super) stream: &'a [u8],
    /// For the service's files; empty when there are none.
    pub(super) file: &'a [u8],
    /// Whose files.
    pub(super) service: &'a Arc<str>,
    /// Whether it goes to the file of errors too.
    pub(super) is_error: bool,
}

impl Line<'_> {
    fn bytes(&self) -> usize {
        self.stream.len() + self.file.len() * if self.is_error { 2 } else { 1 }
    }
}

/// Lines on their way to one service's files.
#[derive(Debug, Default)]
pub(super) struct ServiceLines {
    pub(super) all: Vec<u8>,
    pub(super) errors: Vec<u8>,
}

/// Lines on their way out.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) stream: Vec<u8>,
    pub(super) files: BTreeMap<Arc<str>, ServiceLines>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, line: Line<'_>) {
        self.bytes += line.bytes();
        self.stream.extend_from_slice(line.stream);
        if line.file.is_empty() {
            return;
        }
        if !self.files.contains_key(line.service) {
            self.files.insert(Arc::clone(line.service), ServiceLines::default());
        }
        if let Some(lines) = self.files.get_mut(line.service) {
            lines.all.extend_from_slice(line.file);
            lines.errors.extend_from_slice(if line.is_error { line.file } else { &[] });
        }
    }

    fn clear(&mut self) {
        self.bytes = 0;
        let files = self.files.values_mut().flat_map(|lines| [&mut lines.all, &mut lines.errors]);
        for buffer in files.chain([&mut self.stream]) {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
    }
}

#[derive(Debug, Default)]
struct State {
    pending: Batch,
    /// Flushes asked for, and the last of them that is done.
    asked: u64,
    served: u64,
    closing: bool,
    finished: bool,
}

impl State {
    fn is_urgent(&self) -> bool {
        self.closing || self.asked > self.served
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes those who wait for the writer.
    done: Condvar,
    dropped: AtomicU64,
    failures: AtomicU64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines and exchanges them for the empty `batch`; tells which flush this serves, and whether it is
    /// the last batch.
    fn take(&self, batch: &mut Batch) -> (u64, bool) {
        let idle = |state: &mut State| state.pending.bytes == 0 && !state.is_urgent();
        let filling = |state: &mut State| state.pending.bytes < FLUSH_BYTES && !state.is_urgent();
        let state = self.work.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let waited = self.work.wait_timeout_while(state, FLUSH_EVERY, filling);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.pending, batch);
        (state.asked, state.closing)
    }

    fn write_until_closed(&self, mut outputs: Outputs) {
        let mut batch = Batch::default();
        loop {
            let (flush, last) = self.take(&mut batch);
            self.failures.fetch_add(outputs.write(&batch), Ordering::Relaxed);
            batch.clear();
            let mut state = self.lock();
            state.served = flush;
            state.finished = last;
            self.done.notify_all();
            if last {
                return;
            }
        }
    }
}

/// Takes finished lines and never waits for an output.
#[derive(Debug)]
pub(super) struct Sink {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Sink {
    /// Starts the writer thread.
    pub(super) fn start(outputs: Outputs) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_writer = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name("log-writer".to_owned());
        let writer = builder.spawn(move || of_writer.write_until_closed(outputs))?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }

    /// Hands a line over, or drops it when the buffer is full or closed.
    pub(super) fn push(&self, line: Line<'_>) {
        let mut state = self.shared.lock();
        let before = state.pending.bytes;
        let after = before + line.bytes();
        if state.closing || after > CAPACITY {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.pending.add(line);
        drop(state);
        // In between, the writer wakes by time.
        if before == 0 || (before < FLUSH_BYTES && after >= FLUSH_BYTES) {
            self.shared.work.notify_one();
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.lock().closing
    }

    pub(super) fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// Waits until everything handed over so far is written, or for two seconds.
    pub(super) fn flush(&self) {
        let mut state = self.shared.lock();
        state.asked += 1;
        let ticket = state.asked;
        self.wait_while(state, |state| state.served < ticket && !state.finished);
    }

    /// Writes what is left and ends the writer. A stuck output is given up after two seconds.
    pub(super) fn close(&self) {
        let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let mut state = self.shared.lock();
        state.closing = true;
        self.wait_while(state, |state| !state.finished);
        if self.shared.lock().finished {
            // The writer has nothing left to do but to return, and a panic of its own was logged by the hook.
            let _ = writer.join();
        }
    }

    fn wait_while(&self, state: MutexGuard<'_, State>, condition: impl Fn(&mut State) -> bool) {
        self.shared.work.notify_one();
        drop(self.shared.done.wait_timeout_while(state, PATIENCE, condition));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    /// An output that takes nothing until its gate is opened, like a pipe that nobody reads.
    struct Gated {
        gate: mpsc::Receiver<()>,
        written: Arc<AtomicU64>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Sink, mpsc::Sender<()>, Arc<AtomicU64>) {
        let (open, gate) = mpsc::channel();
        let written = Arc::new(AtomicU64::new(0));
        let out = Gated { gate, written: Arc::clone(&written) };
        (Sink::start(Outputs::new(Box::new(out), None)).unwrap(), open, written)
    }

    fn push(sink: &Sink, stream: &[u8]) {
        sink.push(Line { stream, file: &[], service: &"test".into(), is_error: false });
    }

    #[test]
    fn a_full_buffer_drops_and_counts_without_waiting() {
        let (sink, open, written) = gated();
        let kilobyte = [b'x'; 1024];
        let started = Instant::now();
        // Twice the capacity: whatever the writer holds in its hands, the buffer overflows.
        let lines = 2 * CAPACITY / kilobyte.len() + 1024;
        for _ in 0..lines {
            push(&sink, &kilobyte);
        }
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(sink.dropped() > 0);
        drop(open);
        sink.close();
        let kept = written.load(Ordering::Relaxed) / 1024;
        assert_eq!(kept + sink.dropped(), lines as u64);
    }

    #[test]
    fn a_line_is_written_soon_without_a_flush() {
        let (sink, open, written) = gated();
        drop(open);
        push(&sink, b"line\n");
        let deadline = Instant::now() + Duration::from_secs(5);
        while written.load(Ordering::Relaxed) == 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(written.load(Ordering::Relaxed), 5);
    }

    #[test]
    fn close_writes_what_is_left_and_may_come_twice() {
        let (sink, open, written) = gated();
        drop(open);
        push(&sink, b"last\n");
        sink.close();
        sink.close();
        assert_eq!(written.load(Ordering::Relaxed), 5);
        push(&sink, b"too late\n");
        sink.flush();
        assert_eq!((written.load(Ordering::Relaxed), sink.dropped()), (5, 1));
    }

    #[test]
    fn a_stuck_output_does_not_hold_up_the_end() {
        let (sink, _open, _) = gated();
        push(&sink, b"stuck\n");
        let started = Instant::now();
        sink.close();
        sink.close();
        drop(sink);
        assert!(started.elapsed() < PATIENCE * 2);
    }
}
