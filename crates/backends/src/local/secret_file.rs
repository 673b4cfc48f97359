//! A secret in a file that a command changes: whole or not at all, with the owner and mode that it had, and not at the
//! same time as another command.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use chassis::ports::SecretError;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::durable::{folder_of, sync_folder, temporary_path};
use super::secrets::read_secret;

/// How often a file is opened anew that was replaced while it was opened.
const ATTEMPTS: usize = 10;

/// Why a secret cannot be read or changed. Holds nothing of it.
#[derive(Debug, Error)]
pub enum SecretFileError {
    /// There is no file, or an empty one.
    #[error("there is no secret in {}", .0.display())]
    NotFound(PathBuf),
    /// What is there cannot be changed as a secret is.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Another process holds the lock.
    #[error("another process is changing {}", .0.display())]
    InUse(PathBuf),
    /// Somebody who takes no lock changed it.
    #[error("{} was changed by somebody else meanwhile, and is left as it is now", .0.display())]
    Changed(PathBuf),
    /// It cannot be read or locked.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was replaced, and a power cut now may bring the one before back.
    #[error("{} was replaced, and the disk may not have it yet: {source}", path.display())]
    Unsynced {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It can be read and not replaced. It is as it was.
    #[error("{} cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file whose secret this process alone changes, until it is dropped. Whoever reads it needs no lock: it is replaced
/// as a whole.
#[derive(Debug)]
pub struct SecretFile {
    /// Behind all symbolic links, so that a link stays one.
    path: PathBuf,
    locked: File,
    secret: SecretString,
}

impl SecretFile {
    /// Reads a secret and takes no lock.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(path: &Path) -> Result<SecretString, SecretFileError> {
        let name = path.to_str().ok_or_else(|| unusable(path, "its path is not UTF-8 text"))?;
        read_secret(name).map_err(|error| match error {
            SecretError::NotFound(_) => SecretFileError::NotFound(path.to_owned()),
            SecretError::Invalid { reason, .. } => unusable(path, &reason),
            SecretError::Unavailable(cause) => unreadable(path, io::Error::other(cause)),
        })
    }

    /// Locks a file and reads it. Blocks for a moment.
    ///
    /// # Errors
    /// When there is no secret in it, another process has the lock, or this one could not replace it as a whole.
    pub fn lock(path: &Path) -> Result<Self, SecretFileError> {
        let path = std::fs::canonicalize(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => SecretFileError::NotFound(path.to_owned()),
            _ => unreadable(path, error),
        })?;
        for _ in 0..ATTEMPTS {
            // Asked before opening: opening a pipe waits for its writer.
            check_plain(&path, &metadata(&path)?)?;
            let locked = File::open(&path).map_err(|error| unreadable(&path, error))?;
            lock(&locked, &path)?;
            // Else another process replaced the file after it was opened here, and this one is nobody's any more.
            if is_file_at(&locked, &path)? {
                let secret = Self::read(&path)?;
                return Ok(Self { path, locked, secret });
            }
        }
        Err(SecretFileError::InUse(path))
    }

    /// Where it is, behind all symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret, as it was read or written last.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Whether anybody on this machine can read it.
    #[must_use]
    pub fn is_open_to_others(&self) -> bool {
        self.locked.metadata().is_ok_and(|metadata| is_readable_by_others(&metadata))
    }

    /// Puts another secret in its place, with a line break behind it: on the disk when the call returns, for the same
    /// owner and in the same mode. The lock stays.
    ///
    /// # Errors
    /// When somebody changed the file who takes no lock, or it cannot be written. But for
    /// [`SecretFileError::Unsynced`], the file is as it was then.
    pub fn replace(&mut self, secret: SecretString) -> Result<(), SecretFileError> {
        let before = self.locked.metadata().map_err(|error| unreadable(&self.path, error))?;
        check_plain(&self.path, &before)?;
        let unwritable = |source| SecretFileError::Unwritable { path: self.path.clone(), source };
        let (temporary, file) = Temporary::write(&self.path, &secret, &before).map_err(unwritable)?;
        // Others who wait for the file find it locked from its first moment.
        lock(&file, &self.path)?;
        // As late as possible: an editor takes no lock.
        let is_as_read = || Ok(Self::read(&self.path)?.expose_secret() == self.secret.expose_secret());
        if !is_file_at(&self.locked, &self.path)? || !is_as_read()? {
            return Err(SecretFileError::Changed(self.path.clone()));
        }
        temporary.rename(&self.path).map_err(unwritable)?;
        self.locked = file;
        self.secret = secret;
        let synced = sync_folder(folder_of(&self.path));
        synced.map_err(|source| SecretFileError::Unsynced { path: self.path.clone(), source })
    }
}

/// The path of what is to be the file. Removed again when nothing comes of it.
struct Temporary {
    path: PathBuf,
    is_left_over: bool,
}

impl Temporary {
    fn write(target: &Path, secret: &SecretString, before: &Metadata) -> io::Result<(Self, File)> {
        let path = temporary_path(target)?;
        // In a container every process may have the number of the one before, which was killed.
        let _left_over = std::fs::remove_file(&path);
        let mut options = OpenOptions::new();
        // Read too: some file systems lock no file that is only written.
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        let temporary = Self { path, is_left_over: true };
        keep_owner_and_mode(&file, before)?;
        file.write_all(secret.expose_secret().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        Ok((temporary, file))
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, target)?;
        self.is_left_over = false;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_left_over {
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

fn unusable(path: &Path, reason: &str) -> SecretFileError {
    SecretFileError::Unusable { path: path.to_owned(), reason: reason.to_owned() }
}

fn unreadable(path: &Path, source: io::Error) -> SecretFileError {
    SecretFileError::Unreadable { path: path.to_owned(), source }
}

fn metadata(path: &Path) -> Result<Metadata, SecretFileError> {
    std::fs::metadata(path).map_err(|error| unreadable(path, error))
}

fn lock(file: &File, path: &Path) -> Result<(), SecretFileError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => SecretFileError::InUse(path.to_owned()),
        TryLockError::Error(error) => unreadable(path, error),
    })
}

/// What a rename replaces as a whole.
fn check_plain(path: &Path, metadata: &Metadata) -> Result<(), SecretFileError> {
    if !metadata.is_file() {
        return Err(unusable(path, "it is not a plain file"));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(metadata) > 1 {
        return Err(unusable(path, "it has other names (hard links), under which the secret would stay as it is"));
    }
    Ok(())
}

#[cfg(unix)]
fn is_file_at(file: &File, path: &Path) -> Result<bool, SecretFileError> {
    use std::os::unix::fs::MetadataExt;
    let opened = file.metadata().map_err(|error| unreadable(path, error))?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((opened.dev(), opened.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// There an open file cannot be replaced.
#[cfg(not(unix))]
fn is_file_at(_file: &File, _path: &Path) -> Result<bool, SecretFileError> {
    Ok(true)
}

/// Whoever could read the secret still can, and nobody else.
#[cfg(unix)]
fn keep_owner_and_mode(file: &File, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        fchown(file, Some(before.uid()), Some(before.gid())).map_err(|error| {
            let (user, group) = (before.uid(), before.gid());
            io::Error::new(error.kind(), format!("its owner {user}:{group} cannot be kept: {error}"))
        })?;
    }
    file.set_permissions(before.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(file: &File, before: &Metadata) -> io::Result<()> {
    file.set_permissions(before.permissions())
}

#[cfg(unix)]
fn is_readable_by_others(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o004 != 0
}

#[cfg(not(unix))]
fn is_readable_by_others(_metadata: &Metadata) -> bool {
    false
}
