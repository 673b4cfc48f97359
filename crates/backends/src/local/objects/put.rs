//! The file operations behind the store. All of it blocks.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cap_std::fs::{Dir, DirBuilder, Metadata, OpenOptions};
#[cfg(unix)]
use cap_std::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use chassis::ports::objects::{ObjectError, ObjectKey, Put};
use chassis::telemetry::storage::StoreFailures;

use super::faults::{self, gone, taken};
use super::sync::Folders;

/// Where objects are written before they get their name. No key segment starts with a dot.
pub(super) const TEMPORARY: &str = ".tmp";

/// How often the folders of an object are made before its writer gives up.
const FOLDER_ATTEMPTS: usize = 20;

/// The open folder.
pub(super) struct Folder {
    pub(super) root: Dir,
    /// [`TEMPORARY`] in it.
    temporary: Dir,
    /// Which folder that is.
    opened: (u64, u64),
    /// Begins the names of temporary files. Not the process id: two containers on one volume may have the same.
    pub(super) writer: u128,
    next_temporary: AtomicU64,
    pub(super) folders: Folders,
    pub(super) failures: StoreFailures,
    /// Locked by everybody who has the folder open, together.
    _in_use: File,
}

impl Folder {
    pub(super) fn new(root: Dir, in_use: File, failures: StoreFailures) -> io::Result<Self> {
        let temporary = root.open_dir(TEMPORARY)?;
        let opened = identity(&temporary.dir_metadata()?);
        let mut writer = [0; 16];
        getrandom::fill(&mut writer).map_err(|error| io::Error::other(error.to_string()))?;
        let writer = u128::from_ne_bytes(writer);
        Ok(Self {
            root,
            temporary,
            opened,
            writer,
            next_temporary: AtomicU64::new(0),
            folders: Folders::default(),
            failures,
            _in_use: in_use,
        })
    }

    /// Creates the object; its name is on the disk after [`Self::sync_name`]. An object that is there already is made
    /// durable too: its writer may not have come that far, and the caller will act as if it were.
    pub(super) fn put(&self, key: &ObjectKey, body: &[u8]) -> Result<Put, ObjectError> {
        let place = self.open_place(key)?;
        let outcome = match self.exists(place.as_ref(), key)? {
            true => Put::AlreadyExists,
            false => self.create(place.as_ref(), key, body)?,
        };
        if outcome == Put::AlreadyExists {
            self.renew(key)?;
        }
        Ok(outcome)
    }

    /// Puts a copy in the place of the object. Its writer may have failed to fsync the folder, here or in a process
    /// that is gone, and the kernel may then hold the name for written: another fsync would prove nothing of it. The
    /// copy has a new name to be written.
    fn renew(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let Some(body) = self.get(key)? else { return Err(came_and_went(key)) };
        let temporary = self.temporary();
        let rename = || self.temporary.rename(&temporary, &self.root, key.as_str()).map_err(|error| self.fault(&error));
        let outcome = self.write(&temporary, &body).and_then(|()| rename());
        if outcome.is_err() {
            let _left_over = self.temporary.remove_file(&temporary);
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

    /// Removes the object, which the disk knows after [`Self::sync_removal`].
    pub(super) fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        let remove = || {
            if !self.root.symlink_metadata(key.as_str())?.is_file() {
                return Ok(None);
            }
            self.root.remove_file(key.as_str())?;
            Ok(Some(()))
        };
        Ok(self.unless_missing(remove())?.is_some())
    }

    /// Brings nothing to the disk: a folder that is back after a power cut is as empty as before.
    pub(super) fn remove_empty_folder(&self, folder: &ObjectKey) -> Result<bool, ObjectError> {
        let is_filled = |kind| matches!(kind, ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists);
        let removed = self.root.remove_dir(folder.as_str());
        // One that is filled now may be removed by the next who tries.
        self.folders.forget(folder.as_str());
        match removed {
            Err(error) if is_filled(error.kind()) => Ok(false),
            removed => Ok(self.unless_missing(removed.map(Some))?.is_some()),
        }
    }

    /// Whether the folders are still there: handles survive what they were opened on.
    pub(super) fn check(&self) -> Result<(), ObjectError> {
        match self.root.symlink_metadata(TEMPORARY) {
            Ok(found) if identity(&found) == self.opened => Ok(()),
            Ok(_) => Err(gone()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(self.sort(&error)),
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
    pub(super) fn unless_missing<T>(&self, outcome: io::Result<Option<T>>) -> Result<Option<T>, ObjectError> {
        match outcome {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                self.check()?;
                Ok(None)
            }
            other => other.map_err(|error| self.sort(&error)),
        }
    }

    /// What a put failed of. It creates what is missing, so that something missing may mean that all of it is.
    pub(super) fn fault(&self, error: &io::Error) -> ObjectError {
        let missing = if error.kind() == ErrorKind::NotFound { self.check() } else { Ok(()) };
        missing.err().unwrap_or_else(|| self.sort(error))
    }

    /// The folder that the object belongs in, `None` where it is not made yet.
    fn open_place(&self, key: &ObjectKey) -> Result<Option<Dir>, ObjectError> {
        match self.root.open_dir(parent(key.as_str())) {
            Ok(place) => Ok(Some(place)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(taken(key)),
            Err(error) => Err(self.sort(&error)),
        }
    }

    fn exists(&self, place: Option<&Dir>, key: &ObjectKey) -> Result<bool, ObjectError> {
        let Some(place) = place else { return Ok(false) };
        match place.symlink_metadata(name_in(key)) {
            Ok(found) if found.is_file() => Ok(true),
            Ok(found) if found.is_dir() => Err(taken(key)),
            Ok(_) => Err(ObjectError::Other(format!("{key} is neither a file nor a folder"))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.sort(&error)),
        }
    }

    fn create(&self, place: Option<&Dir>, key: &ObjectKey, body: &[u8]) -> Result<Put, ObjectError> {
        let temporary = self.temporary();
        let outcome = self.write(&temporary, body).and_then(|()| self.give_name(&temporary, place, key));
        if !matches!(outcome, Ok(Put::Created)) {
            // Without its name it is nothing; the next opening removes it where this cannot.
            let _left_over = self.temporary.remove_file(&temporary);
        }
        outcome
    }

    fn temporary(&self) -> String {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        format!("{:032x}-{number}", self.writer)
    }

    fn write(&self, temporary: &str, body: &[u8]) -> Result<(), ObjectError> {
        let write = || {
            let mut options = OpenOptions::new();
            #[cfg(unix)]
            options.mode(0o600);
            let mut file = self.temporary.open_with(temporary, options.write(true).create_new(true))?;
            file.write_all(body)?;
            Ok::<_, io::Error>(file.into_std())
        };
        match write() {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(self.sort(&error)),
            Ok(file) => self.sync(&file),
        }
    }

    fn give_name(&self, temporary: &str, place: Option<&Dir>, key: &ObjectKey) -> Result<Put, ObjectError> {
        match self.link(temporary, place, key) {
            Ok(()) => Ok(Put::Created),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                match self.exists(self.open_place(key)?.as_ref(), key)? {
                    true => Ok(Put::AlreadyExists),
                    false => Err(came_and_went(key)),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => Err(taken(key)),
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn link(&self, temporary: &str, place: Option<&Dir>, key: &ObjectKey) -> io::Result<()> {
        let move_to = |place: &Dir| move_if_free(&self.temporary, temporary, place, name_in(key));
        let mut outcome = place.map_or_else(|| Err(ErrorKind::NotFound.into()), move_to);
        // Who finds a new folder empty may remove it before it gets its object.
        for _ in 0..FOLDER_ATTEMPTS {
            match outcome {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => return other,
            }
            outcome = self
                .create_folders(key)
                .and_then(|()| self.root.open_dir(parent(key.as_str())))
                .and_then(|place| move_to(&place));
        }
        outcome
    }

    fn create_folders(&self, key: &ObjectKey) -> io::Result<()> {
        for folder in folders(key.as_str()) {
            match create_folder(&self.root, folder) {
                // It may be a file; then the next step says so.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                // The entry of a folder that was made anew is not on the disk.
                Ok(()) => self.folders.forget(folder),
            }
        }
        Ok(())
    }
}

/// Gives the file its name, which only one of many writers can do. One system call where Linux and the file system have
/// it; elsewhere a second name, and then without the first.
fn move_if_free(from_folder: &Dir, from: &str, to_folder: &Dir, to: &str) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{RenameFlags, renameat_with};
        use rustix::io::Errno;

        match renameat_with(from_folder, from, to_folder, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            outcome => return outcome.map_err(io::Error::from),
        }
    }
    from_folder.hard_link(from, to_folder, to)?;
    let _left_over = from_folder.remove_file(from);
    Ok(())
}

/// Tells a folder from another one with its name.
fn identity(folder: &Metadata) -> (u64, u64) {
    #[cfg(unix)]
    return (folder.dev(), folder.ino());
    #[cfg(not(unix))]
    (0, u64::from(folder.is_dir()))
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
pub(super) fn folders(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').map(|(at, _)| &key[..at])
}

pub(super) fn parent(key: &str) -> &str {
    key.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

fn name_in(key: &ObjectKey) -> &str {
    key.as_str().rsplit_once('/').map_or(key.as_str(), |(_, name)| name)
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
        std::fs::create_dir(path.path().join(TEMPORARY)).unwrap();
        let (one, other) = (open(path.path()), open(path.path()));
        assert_ne!(one.temporary(), other.temporary());
        assert!(is_temporary(&one.temporary()));
        let name = one.temporary();
        one.write(&name, b"one").unwrap();
        assert!(other.write(&name, b"other").is_err(), "it took the file of another writer");
        assert_eq!(one.temporary.read_to_string(&name).unwrap(), "one");
    }
}
