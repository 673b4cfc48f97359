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
use chassis::telemetry::storage::{StorageFailure, StoreFailures};

use super::faults::{self, gone, taken};

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
    /// Folders whose fsync failed.
    unsynced: Mutex<HashSet<String>>,
    failures: StoreFailures,
    /// Locked by everybody who has the folder open, together.
    _in_use: File,
}

impl Folder {
    pub(super) fn new(root: Dir, in_use: File, failures: StoreFailures) -> io::Result<Self> {
        let mut writer = [0; 16];
        getrandom::fill(&mut writer).map_err(|error| io::Error::other(error.to_string()))?;
        let writer = u128::from_ne_bytes(writer);
        Ok(Self {
            root,
            writer,
            next_temporary: AtomicU64::new(0),
            durable: Mutex::default(),
            unsynced: Mutex::default(),
            failures,
            _in_use: in_use,
        })
    }

    /// Creates the object and makes it durable. An object that is there already is made durable too: its writer may
    /// not have come that far, and the caller will act as if it were.
    pub(super) fn put(&self, key: &ObjectKey, body: &[u8]) -> Result<Put, ObjectError> {
        let outcome = match self.exists(key)? {
            true => Put::AlreadyExists,
            false => self.create(key, body)?,
        };
        if outcome == Put::AlreadyExists {
            self.renew(key)?;
        }
        self.sync_folders(key)?;
        Ok(outcome)
    }

    /// Puts a copy in the place of the object. Its writer may have failed to fsync the folder, here or in a process
    /// that is gone, and the kernel may then hold the name for written: another fsync would prove nothing of it. The
    /// copy has a new name to be written.
    fn renew(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let Some(body) = self.get(key)? else { return Err(came_and_went(key)) };
        let temporary = self.temporary();
        let rename = || self.root.rename(&temporary, &self.root, key.as_str()).map_err(|error| self.fault(&error));
        let outcome = self.write(&temporary, &body).and_then(|()| rename());
        if outcome.is_err() {
            let _left_over = self.root.remove_file(&temporary);
        }
        outcome
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
            Ok(Some(()))
        };
        let is_removed = self.unless_missing(remove())?.is_some();
        if is_removed {
            self.sync_folder(parent(key.as_str()))?;
        }
        Ok(is_removed)
    }

    /// Whether the folder is still there: a handle survives the folder that it was opened on.
    pub(super) fn check(&self) -> Result<(), ObjectError> {
        match self.root.symlink_metadata(TEMPORARY) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(gone()),
            other => other.map(drop).map_err(|error| self.sort(&error)),
        }
    }

    /// Sorts and counts.
    fn sort(&self, error: &io::Error) -> ObjectError {
        if let Some(kind) = faults::kind(error) {
            self.failures.count(kind);
        }
        faults::sort(error)
    }

    /// Where there is no such file, or a file where the key has a folder, there is no object; unless the store has
    /// gone as a whole.
    fn unless_missing<T>(&self, outcome: io::Result<Option<T>>) -> Result<Option<T>, ObjectError> {
        match outcome {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                self.check()?;
                Ok(None)
            }
            other => other.map_err(|error| self.sort(&error)),
        }
    }

    /// What a put failed of. It creates what is missing, so that something missing may mean that all of it is.
    fn fault(&self, error: &io::Error) -> ObjectError {
        let missing = if error.kind() == ErrorKind::NotFound { self.check() } else { Ok(()) };
        missing.err().unwrap_or_else(|| self.sort(error))
    }

    fn exists(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        match self.root.symlink_metadata(key.as_str()) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(found) if found.is_dir() => Err(taken(key)),
            Ok(_) => Err(ObjectError::Other(format!("{key} is neither a file nor a folder"))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(taken(key)),
            Err(error) => Err(self.sort(&error)),
        }
    }

    fn create(&self, key: &ObjectKey, body: &[u8]) -> Result<Put, ObjectError> {
        let temporary = self.temporary();
        let outcome = self.write(&temporary, body).and_then(|()| self.give_name(&temporary, key));
        if !matches!(outcome, Ok(Put::Created)) {
            // Without its name it is nothing; the next opening removes it where this cannot.
            let _left_over = self.root.remove_file(&temporary);
        }
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
            Ok::<_, io::Error>(file.into_std())
        };
        match write() {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(self.sort(&error)),
            Ok(file) => self.sync(&file),
        }
    }

    fn give_name(&self, temporary: &str, key: &ObjectKey) -> Result<Put, ObjectError> {
        match self.link(temporary, key) {
            Ok(()) => Ok(Put::Created),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match self.exists(key)? {
                true => Ok(Put::AlreadyExists),
                false => Err(came_and_went(key)),
            },
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(taken(key)),
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn link(&self, temporary: &str, key: &ObjectKey) -> io::Result<()> {
        match move_if_free(&self.root, temporary, key.as_str()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.create_folders(key)?;
                move_if_free(&self.root, temporary, key.as_str())
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
    fn sync_folders(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        self.sync_folder(parent(key.as_str()))?;
        for folder in folders(key.as_str()) {
            if self.lock_durable().contains(folder) {
                continue;
            }
            self.sync_folder(parent(folder))?;
            let mut durable = self.lock_durable();
            if durable.len() >= REMEMBERED_FOLDERS {
                durable.clear();
            }
            durable.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Opened as a file to be read: `open_dir` gives a handle that Linux does not fsync (`O_PATH`).
    fn sync_folder(&self, folder: &str) -> Result<(), ObjectError> {
        let open = || {
            if self.lock_unsynced().contains(folder) {
                self.stir(folder)?;
            }
            self.root.open(folder)
        };
        let file = open().map_err(|error| self.fault(&error))?.into_std();
        let outcome = self.sync(&file);
        let mut unsynced = self.lock_unsynced();
        let _known = if outcome.is_ok() { unsynced.remove(folder) } else { unsynced.insert(folder.to_owned()) };
        outcome
    }

    /// Changes a folder, so that the next fsync has something to write and its success a meaning.
    fn stir(&self, folder: &str) -> io::Result<()> {
        let name = format!("{folder}/.{:032x}", self.writer);
        self.root.create(&name)?;
        self.root.remove_file(&name)
    }

    fn sync(&self, file: &File) -> Result<(), ObjectError> {
        file.sync_all().map_err(|error| {
            self.failures.count(StorageFailure::Sync);
            ObjectError::Unavailable(format!("the disk did not confirm a write: {error}"))
        })
    }

    fn lock_unsynced(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_durable(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the file its name, which only one of many writers can do. One system call where Linux and the file system have
/// it; elsewhere a second name, and then without the first.
fn move_if_free(root: &Dir, from: &str, to: &str) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        use rustix::io::Errno;

        let (from_folder, to_folder) = (root.open_dir(parent(from))?, root.open_dir(parent(to))?);
        match renameat_with(&from_folder, name_in(from), &to_folder, name_in(to), RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            outcome => return outcome.map_err(io::Error::from),
        }
    }
    root.hard_link(from, root, to)?;
    let _left_over = root.remove_file(from);
    Ok(())
}

#[cfg(target_os = "linux")]
fn name_in(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
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

fn came_and_went(key: &ObjectKey) -> ObjectError {
    ObjectError::Other(format!("{key} came and went while it was written"))
}

/// Whether a file in the folder of temporary files is one of ours, of whatever process: 32 hexadecimal digits, a
/// hyphen and a number.
pub(super) fn is_temporary(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(writer, number)| {
        writer.len() == 32 && writer.bytes().all(|byte| byte.is_ascii_hexdigit()) && is_number(number)
    })
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;
    use chassis::telemetry::storage::StorageFailures;

    use super::*;

    fn open(path: &std::path::Path) -> Folder {
        let root = Dir::open_ambient_dir(path, ambient_authority()).unwrap();
        Folder::new(root, File::open(path).unwrap(), StorageFailures::default().of("objects")).unwrap()
    }

    #[test]
    fn no_two_writers_share_a_temporary_file() {
        let path = tempfile::tempdir().unwrap();
        let (one, other) = (open(path.path()), open(path.path()));
        create_folder(&one.root, TEMPORARY).unwrap();
        assert_ne!(one.temporary(), other.temporary());
        assert!(is_temporary(one.temporary().trim_start_matches(".tmp/")));
        let name = one.temporary();
        one.write(&name, b"one").unwrap();
        assert!(other.write(&name, b"other").is_err(), "it took the file of another writer");
        assert_eq!(one.root.read_to_string(&name).unwrap(), "one");
    }
}
