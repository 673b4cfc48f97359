//! Small files and folders that are on the disk when the call returns.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Keeps the temporary files of one process apart.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// Creates a folder, and those above it that are missing, for the owner only.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = folder_of(path);
    create_folder(above)?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other?,
    }
    sync_folder(above)
}

/// Creates a file for the owner only, whole or not at all; answers false when there is one already.
pub(super) fn create_file(path: &Path, content: &[u8]) -> io::Result<bool> {
    let folder = folder_of(path);
    let temporary = temporary_path(path)?;
    let outcome = write_private(&temporary, content).and_then(|()| std::fs::hard_link(&temporary, path));
    let _left_over = std::fs::remove_file(&temporary);
    match outcome {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
        Ok(()) => sync_folder(folder).map(|()| true),
    }
}

/// Where a file is written that is to become `path`: beside it, since nothing is renamed across file systems.
pub(super) fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the path has no file name"))?;
    let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
    Ok(folder_of(path).join(format!(".{}.{}-{number}", name.display(), std::process::id())))
}

/// Removes what processes that died left in a folder of creating files. Nobody else may be creating one.
pub(super) fn remove_left_overs(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(is_temporary) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// `.NAME.PROCESS-NUMBER`, as [`temporary_path`] names them.
fn is_temporary(name: &str) -> bool {
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let end = name.strip_prefix('.').and_then(|name| name.rsplit_once('.')).and_then(|(_, end)| end.split_once('-'));
    end.is_some_and(|(process, number)| is_number(process) && is_number(number))
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The folder that a path lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Brings the names in a folder to the disk.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
