//! Programs as they were built. Each is a copy of its own: the next build overwrites cargo's file, a linker may write
//! into the very file that runs, and containers may share one target folder.

use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chassis::clock::{Clock, SystemClock};

use crate::failure::Failure;

/// More would be more than anybody runs at once on one target folder.
const SLOTS: u32 = 1000;

/// A folder for the copies, locked for as long as this lives. What a process that was killed left there is removed.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    _lock: File,
    kept: u32,
}

/// One build.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    origin: Origin,
    /// When it was built: `12:03:11`, in UTC as the log has it.
    pub(super) built_at: String,
}

/// Tells a file from another one that takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    length: u64,
}

impl Origin {
    fn of(file: &Path) -> io::Result<Self> {
        let found: Metadata = fs::metadata(file)?;
        let modified = (found.mtime(), found.mtime_nsec());
        Ok(Self { device: found.dev(), inode: found.ino(), modified, length: found.len() })
    }
}

impl Programs {
    /// Takes the first folder below cargo's target folder that nobody has.
    pub(super) fn open(target: &Path) -> Result<Self, Failure> {
        let parent = target.join("keelson-dev");
        let failed = |error: io::Error| Failure::failed(format!("{}: {error}", parent.display()));
        fs::create_dir_all(&parent).map_err(failed)?;
        for slot in 1..=SLOTS {
            let lock = File::create(parent.join(format!("{slot}.lock"))).map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => {
                    let folder = parent.join(slot.to_string());
                    let _left_over = fs::remove_dir_all(&folder);
                    fs::create_dir_all(&folder).map_err(failed)?;
                    return Ok(Self { folder, _lock: lock, kept: 0 });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(Failure::failed(format!("{}: all {SLOTS} folders are in use", parent.display())))
    }

    /// Copies what was built.
    pub(super) async fn keep(&mut self, executable: &Path) -> io::Result<Arc<Program>> {
        self.kept += 1;
        let path = self.folder.join(format!("keelson-{}", self.kept));
        let mut origin = Origin::of(executable)?;
        loop {
            tokio::fs::copy(executable, &path).await?;
            // Another build may have replaced it meanwhile.
            let after = Origin::of(executable)?;
            if after == origin {
                break;
            }
            origin = after;
        }
        let built_at = SystemClock.now().strftime("%H:%M:%S").to_string();
        Ok(Arc::new(Program { path, origin, built_at }))
    }
}

impl Program {
    /// Whether this is a copy of what the file is now.
    pub(super) fn is_of(&self, executable: &Path) -> bool {
        Origin::of(executable).is_ok_and(|origin| origin == self.origin)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_copy_outlives_what_it_is_a_copy_of() {
        let target = tempfile::tempdir().unwrap();
        let built = target.path().join("keelson");
        fs::write(&built, "first").unwrap();
        let mut programs = Programs::open(target.path()).unwrap();
        let first = programs.keep(&built).await.unwrap();
        assert!(first.is_of(&built));
        fs::write(target.path().join("next"), "other").unwrap();
        fs::rename(target.path().join("next"), &built).unwrap();
        assert!(!first.is_of(&built));
        let second = programs.keep(&built).await.unwrap();
        assert_eq!(
            (fs::read(&first.path).unwrap(), fs::read(&second.path).unwrap()),
            (b"first".into(), b"other".into())
        );
        let path = first.path.clone();
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn two_at_once_have_a_folder_each_and_the_next_one_finds_no_leftovers() {
        let target = tempfile::tempdir().unwrap();
        let first = Programs::open(target.path()).unwrap();
        let second = Programs::open(target.path()).unwrap();
        assert_ne!(first.folder, second.folder);
        fs::write(second.folder.join("keelson-1"), "left by a crash").unwrap();
        let folder = second.folder.clone();
        // As after a kill: the lock is gone, the folder is not.
        second._lock.unlock().unwrap();
        let third = Programs::open(target.path()).unwrap();
        assert_eq!(third.folder, folder);
        assert_eq!(fs::read_dir(&third.folder).unwrap().count(), 0);
        drop(first);
    }
}
