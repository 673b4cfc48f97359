//! Where lines end up: a stream and, when `LOG_DIR` is set, the services' files.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::files::Files;
use super::sink::Batch;

/// How long a full non-blocking stream is left alone, and how often, before its lines are given up.
const RETRY_PAUSE: Duration = Duration::from_millis(5);
const MAX_RETRIES: u32 = 200;

/// The stream and the files, owned by the writer thread.
pub(super) struct Outputs {
    stream: Box<dyn Write + Send>,
    /// Whether the stream ends in the middle of a line, after a write that failed half-way.
    torn: bool,
    files: Option<Files>,
}

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outputs").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Outputs {
    pub(super) fn new(stream: Box<dyn Write + Send>, files: Option<Files>) -> Self {
        Self { stream, torn: false, files }
    }

    /// Writes a batch and tells how many writes failed. A failure loses the rest of its own lines only: there is
    /// nobody to report it to, and the next batch tries again.
    pub(super) fn write(&mut self, batch: &Batch) -> u64 {
        let mut failures = u64::from(self.write_stream(&batch.stream).is_err());
        if let Some(files) = &mut self.files {
            for (service, lines) in &batch.files {
                failures += u64::from(files.append(service, "", &lines.all).is_err());
                failures += u64::from(files.append(service, "_errors", &lines.errors).is_err());
            }
        }
        failures
    }

    fn write_stream(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.torn {
            write_all(&mut self.stream, b"\n")?;
        }
        self.torn = true;
        write_all(&mut self.stream, lines)?;
        self.torn = false;
        self.stream.flush()
    }
}

/// `Write::write_all` that also waits for a terminal or pipe which another process made non-blocking.
fn write_all(stream: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    let mut retries = 0;
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && retries < MAX_RETRIES => {
                retries += 1;
                std::thread::park_timeout(RETRY_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sink::{Line, Sink};
    use super::*;

    fn push(sink: &Sink, stream: &[u8]) {
        sink.push(Line { stream, file: &[], service: &Arc::from("test"), is_error: false });
        sink.flush();
    }

    #[test]
    fn a_closed_pipe_is_counted_and_survived() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let sink = Sink::start(Outputs::new(Box::new(writer), None)).unwrap();
        push(&sink, b"one\n");
        push(&sink, b"two\n");
        assert_eq!(sink.failures(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_counted_and_survived() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let sink = Sink::start(Outputs::new(Box::new(full), None)).unwrap();
        push(&sink, b"one\n");
        push(&sink, b"two\n");
        assert_eq!(sink.failures(), 2);
    }

    /// Takes two bytes of each write and fails every third one.
    #[derive(Default)]
    struct Flaky {
        calls: u32,
        taken: Arc<std::sync::Mutex<Vec<u8>>>,
    }

    impl Write for Flaky {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let part = &bytes[..bytes.len().min(2)];
            self.taken.lock().unwrap().extend_from_slice(part);
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_after_a_torn_one_starts_on_its_own() {
        let flaky = Flaky::default();
        let taken = Arc::clone(&flaky.taken);
        let mut outputs = Outputs::new(Box::new(flaky), None);
        assert!(outputs.write_stream(b"first\n").is_err());
        assert!(outputs.write_stream(b"2\n").is_ok());
        assert_eq!(taken.lock().unwrap().as_slice(), b"firs\n2\n");
    }
}
