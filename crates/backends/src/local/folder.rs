//! The data folder of the embedded system: one process owns it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::secrets::SECRETS;
use super::{durable, space};

/// Why the data folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// Another process owns it.
    #[error(
        "the data folder {} is in use by {holder}; stop it, or give this one another folder with --data",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who has it, in words.
        holder: String,
    },
    /// There is a file in its place.
    #[error("the data folder {} is not a folder; remove the file, or choose another folder with --data", path.display())]
    NotAFolder {
        /// What was to be the folder.
        path: PathBuf,
    },
    /// It cannot be created or written.
    #[error(
        "the data folder {} cannot be written: {source}; make it writable, or choose another one with --data",
        path.display()
    )]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The locked data folder. Dropping it, or the end of the process in whatever way, releases it.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// A data folder as somebody sees it who does not own it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderState {
    /// Who owns it, in words; `None` when nobody does.
    pub holder: Option<String>,
}

const LOCK_FILE: &str = "lock";

/// More than a process id is long.
const HOLDER_BYTES: u64 = 32;

impl DataFolder {
    /// Creates the folder where there is none, for its owner only, and locks it for this process. Removes what a process
    /// that died left of making a secret.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub fn lock(path: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let path = path.into();
        if path.exists() && !path.is_dir() {
            return Err(FolderError::NotAFolder { path });
        }
        let unwritable = |source| FolderError::Unwritable { path: path.clone(), source };
        durable::create_folder(&path).map_err(unwritable)?;
        let mut file = open_lock(&path.join(LOCK_FILE)).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse { holder: holder(&mut file), path }),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        write_pid(&mut file).map_err(unwritable)?;
        durable::remove_left_overs(&path.join(SECRETS)).map_err(unwritable)?;
        Ok(Self { path, _lock: file })
    }

    /// Looks at the folder without changing it; `None` when there is none. Asking for the lock takes it for an instant,
    /// together with others who look.
    ///
    /// # Errors
    /// When it is no folder, or this process may not write to it.
    pub fn look(path: &Path) -> Result<Option<FolderState>, FolderError> {
        if !path.exists() {
            return Ok(None);
        }
        if !path.is_dir() {
            return Err(FolderError::NotAFolder { path: path.to_owned() });
        }
        let unwritable = |source| FolderError::Unwritable { path: path.to_owned(), source };
        space::check_writable(path).map_err(unwritable)?;
        let mut file = match File::open(path.join(LOCK_FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(FolderState { holder: None })),
            Err(error) => return Err(unwritable(error)),
        };
        let holder = match file.try_lock_shared() {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => Some(holder(&mut file)),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        };
        Ok(Some(FolderState { holder }))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        ErrorKind::IsADirectory => io::Error::new(ErrorKind::IsADirectory, "its `lock` is a folder"),
        _ => error,
    })
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Only for the message: the lock decides, not what is written.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(HOLDER_BYTES).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}
