//! Where a message was found, and what tells it from every other.

use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::output::printable;

/// Standard input, as a path.
pub(super) const STDIN: &str = "-";

/// A file, and which of its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Arc<Path>,
    pub(super) part: Part,
}

/// Which message of a file. The first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// Of an mbox.
    Message(u64),
    /// Of JSON lines.
    Line(u64),
}

impl Place {
    pub(super) fn new(file: &Arc<Path>, part: Part) -> Self {
        Self { file: Arc::clone(file), part }
    }

    fn position(&self) -> Option<u64> {
        match self.part {
            Part::Whole => None,
            Part::Message(number) | Part::Line(number) => Some(number),
        }
    }

    /// As `--json` and the state file show it.
    pub(super) fn to_json(&self) -> Value {
        json!({ "file": self.file.display().to_string(), "position": self.position() })
    }

    /// What tells the message from every other: its file, its position, its content. Not a matter of security; 128 bits
    /// so that no two of any number of messages are taken for one by chance.
    pub(super) fn key(&self, content: &[u8]) -> u128 {
        let absolute: PathBuf = if self.file.as_os_str() == OsStr::new(STDIN) {
            STDIN.into()
        } else {
            std::path::absolute(&self.file).unwrap_or_else(|_| self.file.to_path_buf())
        };
        let mut hasher = SipHasher13::new();
        absolute.as_os_str().as_bytes().hash(&mut hasher);
        hasher.write(&self.position().unwrap_or(0).to_le_bytes());
        hasher.write(content);
        hasher.finish128().as_u128()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file.as_os_str() == OsStr::new(STDIN) {
            true => f.write_str("standard input")?,
            false => f.write_str(&printable(&self.file.display().to_string()))?,
        }
        match self.part {
            Part::Whole => Ok(()),
            Part::Message(number) => write!(f, ", message {number}"),
            Part::Line(number) => write!(f, ", line {number}"),
        }
    }
}
