//! What is in the folder, in the order of keys.

use std::io;

use cap_std::fs::Dir;
use chassis::ports::objects::{Listed, ObjectError, ObjectKey};
use tokio::sync::mpsc::Sender;

use super::put::Folder;

/// Where the found objects go. Whoever listens may leave.
type Found = Sender<Result<Listed, ObjectError>>;

/// The look has ended before its time: nobody listens any more, or the disk failed.
enum Ended {
    Unheard,
    Failed(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Names every object below `folder`. Blocks, also for a listener who is slow. The names of one folder are in memory at a
/// time, and those of the folders above it.
pub(super) fn list(root: &Folder, folder: Option<&ObjectKey>, found: &Found) {
    let opened = folder.map_or_else(|| root.root.try_clone(), |folder| root.root.open_dir(folder.as_str()));
    let prefix = folder.map(|folder| format!("{folder}/")).unwrap_or_default();
    let failed = match root.unless_missing(opened.map(Some)) {
        Ok(None) => return,
        Err(error) => error,
        Ok(Some(dir)) => match walk(&dir, &prefix, found) {
            Ok(()) | Err(Ended::Unheard) => return,
            Err(Ended::Failed(error)) => root.fault(&error),
        },
    };
    let _unheard = found.blocking_send(Err(failed));
}

/// A folder's names come as they lie on the disk. A folder stands where its objects' keys do: `a.json`, `a/b`, `a0`.
fn walk(dir: &Dir, prefix: &str, found: &Found) -> Result<(), Ended> {
    let mut names = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let mut kind = entry.file_type()?;
        if !kind.is_dir() && !kind.is_file() && !kind.is_symlink() {
            // Some file systems do not tell it with the name.
            let Some(metadata) = unless_gone(dir.symlink_metadata(&name))? else { continue };
            kind = metadata.file_type();
        }
        if kind.is_dir() {
            names.push(format!("{name}/"));
        } else if kind.is_file() {
            names.push(name);
        }
    }
    names.sort_unstable();
    for name in names {
        let path = format!("{prefix}{name}");
        if let Some(folder) = name.strip_suffix('/') {
            if let Some(below) = unless_gone(dir.open_dir(folder))? {
                walk(&below, &path, found)?;
            }
            continue;
        }
        let Some(metadata) = unless_gone(dir.metadata(&name))? else { continue };
        // What is no key of ours was put there by somebody else.
        let Ok(key) = path.parse() else { continue };
        let modified_at = metadata.modified().ok().and_then(|at| at.into_std().try_into().ok());
        let listed = Listed { key, size_bytes: metadata.len(), modified_at };
        found.blocking_send(Ok(listed)).map_err(|_| Ended::Unheard)?;
    }
    Ok(())
}

/// What was there a moment ago may be deleted, or be a file in the place of a folder.
fn unless_gone<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        other => other.map(Some),
    }
}
