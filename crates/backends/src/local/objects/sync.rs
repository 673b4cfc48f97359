//! Brings names to the disk.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chassis::ports::objects::{ObjectError, ObjectKey};
use chassis::telemetry::storage::StorageFailure;

use super::put::{Folder, folders, parent};
use super::together::{Together, Waiter};

/// Folders that are remembered; then it starts anew.
const REMEMBERED_FOLDERS: usize = 10_000;

/// What is known of the folders.
#[derive(Default)]
pub(super) struct Folders {
    together: Together,
    /// Those whose own entry is known to be on disk: a day's folder is fsynced into the month's once, not for each
    /// object.
    durable: Mutex<HashSet<String>>,
    /// Those whose fsync failed.
    unsynced: Mutex<HashSet<String>>,
}

impl Folders {
    /// The entry of a folder that was made anew is not on the disk.
    pub(super) fn made(&self, folder: &str) {
        self.lock_durable().remove(folder);
    }

    fn lock_unsynced(&self) -> MutexGuard<'_, HashSet<String>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_durable(&self) -> MutexGuard<'_, HashSet<String>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    /// Has `waiter` called when the object's name is on the disk, or when it is not known to be.
    pub(super) fn sync_name(&self, key: &ObjectKey, waiter: Waiter) {
        self.folders.together.sync(parent(key.as_str()), waiter, || self.sync_folders(key));
    }

    /// Fsyncs the object's folder, and each folder above it that is not known to hold the next one durably.
    fn sync_folders(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        self.sync_folder(parent(key.as_str()))?;
        for folder in folders(key.as_str()) {
            if self.folders.lock_durable().contains(folder) {
                continue;
            }
            self.sync_folder(parent(folder))?;
            let mut durable = self.folders.lock_durable();
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
            if self.folders.lock_unsynced().contains(folder) {
                self.stir(folder)?;
            }
            self.root.open(folder)
        };
        let file = open().map_err(|error| self.fault(&error))?.into_std();
        let outcome = self.sync(&file);
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
