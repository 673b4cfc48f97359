//! Brings names to the disk.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::ports::objects::{ObjectError, ObjectKey};
use chassis::telemetry::storage::StorageFailure;

use super::put::{Folder, folders, parent};
use super::together::{Together, Waiter};

/// Folders that are remembered; then it starts anew.
const REMEMBERED_FOLDERS: usize = 10_000;
/// How long they are remembered. Another process may remove the folder of a day when nothing was written into it for a
/// day, and a third one make it anew: by then it must be forgotten here.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

/// Folders whose own entry is on disk.
#[derive(Default)]
struct Durable {
    folders: HashSet<String>,
    /// When the first of them was noted.
    since: Option<Instant>,
}

impl Durable {
    fn contains(&mut self, folder: &str) -> bool {
        if self.folders.len() >= REMEMBERED_FOLDERS || self.since.is_some_and(|since| since.elapsed() > REMEMBERED_FOR)
        {
            *self = Self::default();
        }
        self.folders.contains(folder)
    }

    fn insert(&mut self, folder: &str) {
        self.since.get_or_insert_with(Instant::now);
        self.folders.insert(folder.to_owned());
    }
}

/// What is known of the folders.
#[derive(Default)]
pub(super) struct Folders {
    together: Together,
    /// Those whose own entry is known to be on disk: a day's folder is fsynced into the month's once, not for each
    /// object.
    durable: Mutex<Durable>,
    /// Those whose fsync failed.
    unsynced: Mutex<HashSet<String>>,
}

impl Folders {
    /// Its entry may not be on the disk, or not any more.
    pub(super) fn forget(&self, folder: &str) {
        self.lock_durable().folders.remove(folder);
    }

    fn lock_unsynced(&self) -> MutexGuard<'_, HashSet<String>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    /// Has `waiter` called when the object's name is on the disk, or when it is not known to be.
    pub(super) fn sync_name(&self, key: &ObjectKey, waiter: Waiter) {
        let learn = |folder: &str| self.folders.lock_durable().insert(folder);
        self.folders.together.sync(parent(key.as_str()), waiter, || self.sync_folders(key, learn));
    }

    /// The same for a name that is gone. Whoever waits for a name may wait for the same fsync, so the folders above are
    /// brought to the disk too. But nothing is learnt of them: one who deletes may know a folder that is about to be
    /// removed.
    pub(super) fn sync_removal(&self, key: &ObjectKey, waiter: Waiter) {
        self.folders.together.sync(parent(key.as_str()), waiter, || self.sync_folders(key, |_| ()));
    }

    /// Fsyncs the object's folder, and each folder above it that is not known to hold the next one durably.
    fn sync_folders(&self, key: &ObjectKey, is_durable: impl Fn(&str)) -> Result<(), ObjectError> {
        let folder = parent(key.as_str());
        match self.open_to_sync(folder) {
            Ok(file) => self.sync_opened(folder, &file)?,
            // Only an empty folder is removed: all that anybody waits for was deleted. Or the whole store is gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.check(),
            Err(error) => return Err(self.fault(&error)),
        }
        for folder in folders(key.as_str()) {
            if self.folders.lock_durable().contains(folder) {
                continue;
            }
            self.sync_folder(parent(folder))?;
            is_durable(folder);
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> Result<(), ObjectError> {
        let file = self.open_to_sync(folder).map_err(|error| self.fault(&error))?;
        self.sync_opened(folder, &file)
    }

    /// As a file to be read: `open_dir` gives a handle that Linux does not fsync (`O_PATH`).
    fn open_to_sync(&self, folder: &str) -> io::Result<File> {
        if self.folders.lock_unsynced().contains(folder) {
            self.stir(folder)?;
        }
        Ok(self.root.open(folder)?.into_std())
    }

    fn sync_opened(&self, folder: &str, file: &File) -> Result<(), ObjectError> {
        let outcome = self.sync(file);
        let mut unsynced = self.folders.lock_unsynced();
        let _known = if outcome.is_ok() { unsynced.remove(folder) } else { unsynced.insert(folder.to_owned()) };
        outcome
    }

    /// Changes a folder, so that the next fsync has something to write and its success a meaning.
    fn stir(&self, folder: &str) -> io::Result<()> {
        let name = format!("{folder}/.{:032x}", self.writer);
        self.root.create(&name)?;
        self.root.remove_file(&name)
    }

    pub(super) fn sync(&self, file: &File) -> Result<(), ObjectError> {
        file.sync_all().map_err(|error| {
            self.failures.count(StorageFailure::Sync);
            ObjectError::Unavailable(format!("the disk did not confirm a write: {error}"))
        })
    }
}
