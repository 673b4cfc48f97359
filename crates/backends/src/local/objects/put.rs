//! The file operations behind the store. All of it blocks.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use cap_std::fs::{Dir, DirBuilder, OpenOptions};
#[cfg(unix)]
use cap_std::fs::{DirBuilderExt, OpenOptionsExt};
use chassis::ports::objects::{ObjectError, ObjectKey, Put};

use super::faults::{gone, sort, taken};

/// Where objects are written before they get their name. No key segment starts with a dot.
pub(super) const TEMPORARY: &str = ".tmp";

/// Folders that are remembered; then it starts anew.
const REMEMBERED_FOLDERS: usize = 10_000;

/// The open folder.
pub(super) struct Folder {
    root: Dir,
    /// Begins the names of temporary files. Not the process id: two containers on one volume may have the same.
    writer: u128,
    next_temporary: AtomicU64,
    /// Folders whose own entry is known to be on disk: a day's folder is fsynced into the month's once, not for each
    /// object.
    durable: Mutex<HashSet<String>>,
    /// Locked by everybody who has the folder open, together.
    _in_use: File,
}

impl Folder {
    pub(super) fn new(root: Dir, in_use: File) -> io::Result<Self> {
        let mut writer = [0; 16];
        getrandom::fill(&mut writer).map_err(|error| io::Error::other(error.to_string()))?;
        let writer = u128::from_ne_bytes(writer);
        Ok(Self { root, writer, next_temporary: AtomicU64::new(0), durable: Mutex::default(), _in_use: in_use })
    }

    /// Creates the object and makes it durable. An object that is there already is made durable too: its writer may
    /// not have come that far, and the caller will act as if it were.
    pub(super) fn put(&self, key: &ObjectKey, body: &[u8]) -> Result<Put, ObjectError> {
        let outcome = match self.exists(key)? {
            true => Put::AlreadyExists,
            false => self.create(key, body)?,
        };
        self.sync_folders(key).map_err(|error| self.fault(&error))?;
        Ok(outcome)
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError> {
        let read = || {
            let mut file = self.root.open(key.as_str())?;
            if !file.metadata()?.is_file() {
                return Ok(None);
            }
            let mut body = Vec::new();
            file.read_to_end(&mut body)?;
            Ok(Some(Bytes::from(body)))
        };
        self.unless_missing(read())
    }

    pub(super) fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        let remove = || {
            if !self.root.symlink_metadata(key.as_str())?.is_file() {
                return Ok(None);
            }
            self.root.remove_file(key.as_str())?;
            sync(&self.root, parent(key.as_str()))?;
            Ok(Some(()))
        };
        Ok(self.unless_missing(remove())?.is_some())
    }

    /// Whether the folder is still there: a handle survives the folder that it was opened on.
    pub(super) fn check(&self) -> Result<(), ObjectError> {
        match self.root.symlink_metadata(TEMPORARY) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(gone()),
            other => other.map(drop).map_err(|error| sort(&error)),
        }
    }

    /// Where there is no such file, or a file where the key has a folder, there is no object; unless the store has
    /// gone as a whole.
    fn unless_missing<T>(&self, outcome: io::Result<Option<T>>) -> Result<Option<T>, ObjectError> {
        match outcome {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                self.check()?;
                Ok(None)
            }
            other => other.map_err(|error| sort(&error)),
        }
    }

    /// What a put failed of. It creates what is missing, so that something missing may mean that all of it is.
    fn fault(&self, error: &io::Error) -> ObjectError {
        let missing = if error.kind() == ErrorKind::NotFound { self.check() } else { Ok(()) };
        missing.err().unwrap_or_else(|| sort(error))
    }

    fn exists(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        match self.root.symlink_metadata(key.as_str()) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(found) if found.is_dir() => Err(taken(key)),
            Ok(_) => Err(ObjectError::Other(format!("{key} is neither a file nor a folder"))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(taken(key)),
            Err(error) => Err(sort(&error)),
        }
    }

    fn create(&self, key: &ObjectKey, body: &[u8]) -> Result<Put, ObjectError> {
        let temporary = self.temporary();
        let outcome = self.write(&temporary, body).and_then(|()| self.give_name(&temporary, key));
        // Without its name it is nothing; the next opening removes it where this cannot.
        let _left_over = self.root.remove_file(&temporary);
        outcome
    }

    fn temporary(&self) -> String {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        format!("{TEMPORARY}/{:032x}-{number}", self.writer)
    }

    fn write(&self, temporary: &str, body: &[u8]) -> Result<(), ObjectError> {
        let write = || {
            let mut options = OpenOptions::new();
            #[cfg(unix)]
            options.mode(0o600);
            let mut file = self.root.open_with(temporary, options.write(true).create_new(true))?;
            file.write_all(body)?;
            file.sync_all()
        };
        match write() {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(gone()),
            other => other.map_err(|error| sort(&error)),
        }
    }

    fn give_name(&self, temporary: &str, key: &ObjectKey) -> Result<Put, ObjectError> {
        match self.link(temporary, key) {
            Ok(()) => Ok(Put::Created),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match self.exists(key)? {
                true => Ok(Put::AlreadyExists),
                false => Err(ObjectError::Other(format!("{key} came and went while it was written"))),
            },
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(taken(key)),
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn link(&self, temporary: &str, key: &ObjectKey) -> io::Result<()> {
        match self.root.hard_link(temporary, &self.root, key.as_str()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.create_folders(key)?;
                self.root.hard_link(temporary, &self.root, key.as_str())
            }
            other => other,
        }
    }

    fn create_folders(&self, key: &ObjectKey) -> io::Result<()> {
        for folder in folders(key.as_str()) {
            match create_folder(&self.root, folder) {
                // It may be a file; then the next step says so.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => drop(self.lock_durable().remove(folder)),
            }
        }
        Ok(())
    }

    /// Fsyncs the object's folder, and each folder above it that is not known to hold the next one durably.
    fn sync_folders(&self, key: &ObjectKey) -> io::Result<()> {
        sync(&self.root, parent(key.as_str()))?;
        for folder in folders(key.as_str()) {
            if self.lock_durable().contains(folder) {
                continue;
            }
            sync(&self.root, parent(folder))?;
            let mut durable = self.lock_durable();
            if durable.len() >= REMEMBERED_FOLDERS {
                durable.clear();
            }
            durable.insert(folder.to_owned());
        }
        Ok(())
    }

    fn lock_durable(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages are nobody else's business.
pub(super) fn create_folder(root: &Dir, folder: &str) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    builder.mode(0o700);
    root.create_dir_with(folder, &builder)
}

/// `a/b/c` lies in the folders `a` and `a/b`, outermost first.
fn folders(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').map(|(at, _)| &key[..at])
}

fn parent(key: &str) -> &str {
    key.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

/// Opened as a file to be read: `open_dir` gives a handle that Linux does not fsync (`O_PATH`).
fn sync(root: &Dir, folder: &str) -> io::Result<()> {
    root.open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    fn open(path: &std::path::Path) -> Folder {
        let root = Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        Folder::new(root, File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn no_two_writers_share_a_temporary_file() {
        let path = tempfile::tempdir().unwrap();
        let (one, other) = (open(path.path()), open(path.path()));
        create_folder(&one.root, TEMPORARY).unwrap();
        assert_ne!(one.temporary(), other.temporary());
        let name = one.temporary();
        one.write(&name, b"one").unwrap();
        assert!(other.write(&name, b"other").is_err(), "it took the file of another writer");
        assert_eq!(one.root.read_to_string(&name).unwrap(), "one");
    }
}
