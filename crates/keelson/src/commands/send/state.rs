//! The file of `--resume`: one line for each message that the service has acknowledged, on the disk before the next
//! messages are sent. The first line says where they went, so that no file of another target hides what is unsent.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::place::Place;
use crate::failure::Failure;

/// A message that the service has.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) key: u128,
    pub(super) place: Place,
    pub(super) message_id: String,
}

/// The open file. Another sender cannot open it meanwhile.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    file: File,
    /// What is sent already.
    pub(super) keys: HashSet<u128>,
}

#[derive(Deserialize)]
struct Line {
    keelson_send: Option<u8>,
    key: Option<String>,
    target: Option<String>,
}

impl State {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path, target: &str) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot = |error: &io::Error| Failure::unavailable(format!("{shown} cannot be used: {error}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|error| cannot(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::unavailable(format!("another `keelson send` uses {shown}")));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(&error)),
        }
        let Contents { found, keys, whole } = read(&file).map_err(|error| cannot(&error))?;
        let is_new = !found.is_of(target, path)?;
        let mut state = Self { path: path.to_path_buf(), file, keys };
        let prepared = if is_new { state.begin(target) } else { state.cut_off(whole) };
        prepared.map_err(|error| cannot(&error))?;
        Ok(state)
    }

    /// What is sent already, without a change of the file. There need not be one.
    pub(super) fn peek(path: &Path, target: &str) -> Result<HashSet<u128>, Failure> {
        let cannot = |error: &io::Error| Failure::unavailable(format!("{} cannot be read: {error}", path.display()));
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
            Err(error) => return Err(cannot(&error)),
        };
        let Contents { found, keys, .. } = read(&file).map_err(|error| cannot(&error))?;
        found.is_of(target, path)?;
        Ok(keys)
    }

    /// Writes the first line; the folder is synced too, as the file is new.
    fn begin(&mut self, target: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(first_line(target).as_bytes())?;
        self.file.sync_all()?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// What a kill left of the last line goes: its message was not yet noted.
    fn cut_off(&mut self, whole: u64) -> io::Result<()> {
        self.file.set_len(whole)?;
        self.file.seek(SeekFrom::End(0)).map(drop)
    }

    /// Notes messages; when it returns, the disk has them.
    pub(super) fn note(&mut self, acknowledged: &[Acknowledged]) -> Result<(), Failure> {
        let lines: String = acknowledged.iter().map(line).collect();
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            Failure::unavailable(format!(
                "{} cannot be written: {error}; the last {} messages are sent and not noted there",
                self.path.display(),
                acknowledged.len()
            ))
        })
    }
}

#[derive(Debug)]
struct Contents {
    found: Found,
    keys: HashSet<u128>,
    /// Bytes of whole lines.
    whole: u64,
}

#[derive(Debug)]
enum Found {
    Nothing,
    Target(String),
    Foreign,
}

impl Found {
    /// Whether the file tells of this target; no when it tells of nothing yet.
    fn is_of(&self, target: &str, path: &Path) -> Result<bool, Failure> {
        let shown = path.display();
        match self {
            Self::Target(before) if before == target => Ok(true),
            Self::Target(before) => Err(Failure::usage(format!(
                "{shown} tells what was sent to {before}, not to {target}: name another file with --resume"
            ))),
            Self::Nothing => Ok(false),
            Self::Foreign => Err(Failure::usage(format!(
                "{shown} is no state of `keelson send`, and is left as it is: name another file with --resume"
            ))),
        }
    }
}

/// Reads every whole line.
fn read(file: &File) -> io::Result<Contents> {
    let mut reader = BufReader::new(file);
    let (mut line, mut whole, mut target, mut keys) = (Vec::new(), 0, None, HashSet::new());
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if bytes == 0 || !line.ends_with(b"\n") {
            break;
        }
        let read: Option<Line> = serde_json::from_slice(&line).ok();
        match (&target, read) {
            (None, Some(Line { keelson_send: Some(1), target: Some(found), .. })) => target = Some(found),
            (None, _) => return Ok(Contents { found: Found::Foreign, keys, whole }),
            // A line that is damaged hides nothing: its message is sent again.
            (Some(_), read) => keys.extend(read.and_then(|it| u128::from_str_radix(&it.key?, 16).ok())),
        }
        whole += bytes as u64;
    }
    let is_torn = || !line.is_empty() && first_line("").as_bytes().starts_with(&line[..line.len().min(12)]);
    let found = match target {
        Some(target) => Found::Target(target),
        None if line.is_empty() || is_torn() => Found::Nothing,
        None => Found::Foreign,
    };
    Ok(Contents { found, keys, whole })
}

fn first_line(target: &str) -> String {
    format!("{}\n", json!({ "keelson_send": 1, "target": target }))
}

fn line(it: &Acknowledged) -> String {
    let mut line = json!({ "key": format!("{:032x}", it.key), "message_id": it.message_id });
    if let (Value::Object(line), Value::Object(place)) = (&mut line, it.place.to_json()) {
        line.extend(place);
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::super::place::Part;
    use super::*;

    fn acknowledged(number: u128) -> Acknowledged {
        let place = Place { file: Arc::from(Path::new("a.eml")), part: Part::Whole };
        Acknowledged { key: number, place, message_id: format!("id-{number}") }
    }

    fn keys(path: &Path) -> Vec<u128> {
        let mut keys: Vec<_> = State::open(path, "here").unwrap().keys.into_iter().collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn what_was_noted_is_known_again_whatever_a_kill_left_of_the_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        State::open(&path, "here").unwrap().note(&[acknowledged(1), acknowledged(2)]).unwrap();
        let whole = fs::read(&path).unwrap();
        assert_eq!(keys(&path), [1, 2]);
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let known = keys(&path).len();
            let complete = whole[..length].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(known, complete.saturating_sub(1), "{length}");
            State::open(&path, "here").unwrap().note(&[acknowledged(7)]).unwrap();
            assert!(keys(&path).contains(&7), "{length}");
        }
    }

    #[test]
    fn a_damaged_line_costs_no_more_than_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        State::open(&path, "here").unwrap().note(&[acknowledged(1)]).unwrap();
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("\u{0}\u{0}\n{\"key\":\"xyz\"}\n");
        fs::write(&path, text).unwrap();
        State::open(&path, "here").unwrap().note(&[acknowledged(2)]).unwrap();
        assert_eq!(keys(&path), [1, 2]);
    }

    #[test]
    fn files_of_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        for text in ["From ann@example.com\n", "{\"email_subject\":\"x\"}\n", "no line", "{\"k"] {
            fs::write(&path, text).unwrap();
            let refused = State::open(&path, "here");
            let is_start_of_ours = text == "{\"k";
            assert_eq!(refused.is_ok(), is_start_of_ours, "{text}");
            if !is_start_of_ours {
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
            }
        }
        let first = State::open(&path, "here").unwrap();
        assert!(State::open(&path, "here").unwrap_err().to_string().contains("another `keelson send`"));
        drop(first);
        assert!(State::open(&path, "there").unwrap_err().to_string().contains("sent to here, not to there"));
    }
}
