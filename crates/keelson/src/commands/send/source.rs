//! Reads messages out of files, one at a time, on a thread that may block.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::ops::ControlFlow;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::format::{Format, detect};
use super::jsonl;
use super::mail::{self, Outside};
use super::mbox::Mbox;
use super::nesting;
use super::place::{Part, Place, STDIN};
use super::walk::{Step, Walk};

/// A single message may have so many bytes. The service takes 1 MiB of text, but attachments come before that.
pub(super) const MAX_MESSAGE_BYTES: usize = 32 << 20;

/// What a file begins with, as far as its format is guessed from it.
const HEAD_BYTES: u64 = 4 << 10;

/// Something that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) content: Result<Content, String>,
}

/// A message.
#[derive(Debug)]
pub(super) struct Content {
    /// See [`Place::key`].
    pub(super) key: u128,
    /// The JSON text of `data`.
    pub(super) data: String,
}

/// What to make of files.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// Instead of the one that the file looks like.
    pub(super) format: Option<Format>,
    /// A mail without a date has that of its file.
    pub(super) file_time: bool,
}

/// Who takes what is read, and stops the reading by `Break`.
pub(super) trait Sink {
    fn found(&mut self, found: Found) -> ControlFlow<()>;
    /// So many bytes more were read.
    fn read(&mut self, bytes: u64);
}

/// Reads everything.
pub(super) fn read_all(walk: Walk, reading: Reading, sink: &mut dyn Sink) {
    for step in walk {
        let (path, size, unreadable) = match step {
            Step::Stream(path) => (path, None, None),
            Step::File(path, size) => (path, Some(size), None),
            Step::Unreadable(path, reason) => (path, None, Some(reason)),
        };
        let mut source = Source { file: path.into(), reading, sink };
        let flow = match unreadable {
            Some(reason) => source.unreadable(Part::Whole, reason),
            None => source.read(size),
        };
        if flow.is_break() {
            return;
        }
    }
}

/// One file.
struct Source<'a> {
    file: Arc<Path>,
    reading: Reading,
    sink: &'a mut dyn Sink,
}

type Opened = (Box<dyn BufRead>, Option<Timestamp>, Format);

impl Source<'_> {
    fn read(&mut self, size: Option<u64>) -> ControlFlow<()> {
        let (mut reader, file_time, format) = match self.open(size) {
            Ok(opened) => opened,
            Err(reason) => {
                self.sink.read(size.unwrap_or(0));
                return self.unreadable(Part::Whole, reason);
            }
        };
        match format {
            Format::Eml => self.whole(&mut *reader, size, file_time),
            Format::Mbox => self.mbox(reader, file_time),
            Format::Jsonl => self.lines(&mut *reader),
        }
    }

    fn open(&self, size: Option<u64>) -> Result<Opened, String> {
        let cannot = |error: io::Error| format!("it cannot be read: {error}");
        let (mut source, file_time): (Box<dyn Read>, _) = if self.file.as_os_str() == STDIN {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(&self.file).map_err(cannot)?;
            let time = file.metadata().and_then(|found| found.modified()).map_err(cannot)?;
            (Box::new(file), Timestamp::try_from(time).ok().filter(|_| self.reading.file_time && size.is_some()))
        };
        let mut head = Vec::new();
        source.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(cannot)?;
        let format = detect(&head, self.file.extension(), self.reading.format)?;
        let is_large = size.is_some_and(|size| size > MAX_MESSAGE_BYTES as u64);
        if format == Format::Eml && is_large {
            return Err(too_large());
        }
        Ok((Box::new(BufReader::new(Cursor::new(head).chain(source))), file_time, format))
    }

    fn whole(&mut self, reader: &mut dyn BufRead, size: Option<u64>, time: Option<Timestamp>) -> ControlFlow<()> {
        let mut raw = Vec::new();
        let result = reader.take(MAX_MESSAGE_BYTES as u64 + 1).read_to_end(&mut raw);
        self.sink.read(size.unwrap_or(raw.len() as u64));
        match result {
            Err(error) => self.unreadable(Part::Whole, format!("it cannot be read: {error}")),
            Ok(_) if raw.len() > MAX_MESSAGE_BYTES => self.unreadable(Part::Whole, too_large()),
            Ok(_) => {
                // Some programs write the first line of an mbox before a single mail.
                let line = raw.split(|byte| *byte == b'\n').next().filter(|line| line.starts_with(b"From "));
                let skipped = line.map_or(0, |line| (line.len() + 1).min(raw.len()));
                let from_line = line.map(|line| String::from_utf8_lossy(line).into_owned());
                self.mail(Part::Whole, &raw[skipped..], from_line.as_deref(), time)
            }
        }
    }

    fn mbox(&mut self, reader: Box<dyn BufRead>, time: Option<Timestamp>) -> ControlFlow<()> {
        let mut mbox = Mbox::new(reader, MAX_MESSAGE_BYTES);
        for number in 1.. {
            let part = Part::Message(number);
            match mbox.next_entry() {
                Ok(None) => break,
                Err(error) => return self.unreadable(part, format!("it cannot be read on: {error}")),
                Ok(Some(entry)) => {
                    self.sink.read(entry.size_bytes);
                    match entry.raw {
                        None => self.unreadable(part, too_large())?,
                        Some(raw) => self.mail(part, &raw, Some(&entry.from_line), time)?,
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn lines(&mut self, reader: &mut dyn BufRead) -> ControlFlow<()> {
        for number in 1.. {
            let part = Part::Line(number);
            let line = match jsonl::read_line(reader, MAX_MESSAGE_BYTES) {
                Ok(None) => break,
                Err(error) => return self.unreadable(part, format!("it cannot be read on: {error}")),
                Ok(Some(line)) => line,
            };
            self.sink.read(line.size_bytes);
            match line.text {
                None => self.unreadable(part, too_large())?,
                Some(text) if text.trim_ascii().is_empty() => {}
                Some(text) => {
                    let data = jsonl::data(&text).map_err(str::to_owned);
                    self.found(part, &text, data)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn mail(
        &mut self,
        part: Part,
        raw: &[u8],
        from_line: Option<&str>,
        file_time: Option<Timestamp>,
    ) -> ControlFlow<()> {
        if let Some(reason) = nesting::too_deep(raw) {
            return self.unreadable(part, reason.to_owned());
        }
        // A mail that breaks the parser must not hold back all others.
        let data = catch_unwind(|| mail::data(raw, Outside { from_line, file_time }));
        let data = data.unwrap_or(Err("it breaks the parser of mails; please report it"));
        let data = data.map(|data| serde_json::Value::Object(data).to_string()).map_err(str::to_owned);
        self.found(part, raw, data)
    }

    fn found(&mut self, part: Part, raw: &[u8], data: Result<String, String>) -> ControlFlow<()> {
        let place = Place::new(&self.file, part);
        let content = data.map(|data| Content { key: place.key(raw), data });
        self.sink.found(Found { place, content })
    }

    fn unreadable(&mut self, part: Part, reason: String) -> ControlFlow<()> {
        self.sink.found(Found { place: Place::new(&self.file, part), content: Err(reason) })
    }
}

fn too_large() -> String {
    format!("over {} MiB", MAX_MESSAGE_BYTES >> 20)
}

/// Bytes of all files that a walk meets, as far as their size is known.
pub(super) fn sizes(paths: Vec<PathBuf>, leave_out: Option<&Path>) -> impl Iterator<Item = u64> + use<> {
    Walk::new(paths, leave_out).filter_map(|step| match step {
        Step::File(_, size) => Some(size),
        Step::Stream(_) | Step::Unreadable(..) => None,
    })
}

#[cfg(test)]
mod tests;
