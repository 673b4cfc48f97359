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

/// Names every object below `folder`. Blocks, also for a listener who is slow.
pub(super) fn list(root: &Folder, folder: Option<&ObjectKey>, found: &Found) {
    let opened = folder.map_or_else(|| root.root.try_clone(), |folder| root.root.open_dir(folder.as_str()));
    let prefix = folder.map(|folder| format!("{folder}/")).unwrap_or_default();
    let ended = opened.map_err(Ended::from).and_then(|dir| walk(&dir, &prefix, found));
    if let Err(Ended::Failed(error)) = ended
        && let Err(error) = root.unless_missing::<()>(Err(error))
    {
        let _unheard = found.blocking_send(Err(error));
    }
}

/// A folder's names come as they lie on the disk. A folder stands where its objects' keys do: `a.json`, `a/b`, `a0`.
fn walk(dir: &Dir, prefix: &str, found: &Found) -> Result<(), Ended> {
    let mut names = Vec::new();
    for entry in dir.entries()? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        match name.into_string() {
            Ok(name) if name.starts_with('.') => {}
            Ok(name) if kind.is_dir() => names.push(format!("{name}/")),
            Ok(name) if kind.is_file() => names.push(name),
            _ => {}
        }
    }
    names.sort_unstable();
    for name in names {
        let path = format!("{prefix}{name}");
        if let Some(folder) = name.strip_suffix('/') {
            match dir.open_dir(folder) {
                Ok(below) => walk(&below, &path, found)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        // Gone meanwhile, or no key of ours.
        let (Ok(key), Ok(metadata)) = (path.parse(), dir.metadata(&name)) else { continue };
        let listed = Listed { key, size_bytes: metadata.len() };
        found.blocking_send(Ok(listed)).map_err(|_| Ended::Unheard)?;
    }
    Ok(())
}
