//! Which files a list of paths means: folders are walked in the order of their names, each real folder once, so that
//! symbolic links make no loops. Nothing is opened here.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::place::STDIN;

/// A step of the walk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Standard input, or a pipe or device that was named: its size is not known.
    Stream(PathBuf),
    /// A file, and its size.
    File(PathBuf, u64),
    /// What cannot be read, and why.
    Unreadable(PathBuf, String),
}

/// The walk. It remembers one listing for each folder on the way down, and which folders it has seen.
#[derive(Debug)]
pub(super) struct Walk {
    listings: Vec<std::vec::IntoIter<PathBuf>>,
    seen: HashSet<(u64, u64)>,
    /// A file that is no mail: the state of the sender itself.
    leave_out: Option<(u64, u64)>,
}

impl Walk {
    pub(super) fn new(paths: Vec<PathBuf>, leave_out: Option<&Path>) -> Self {
        let leave_out = leave_out.and_then(|path| fs::metadata(path).ok()).map(|found| (found.dev(), found.ino()));
        Self { listings: vec![paths.into_iter()], seen: HashSet::new(), leave_out }
    }

    /// Looks at one path; `None` when there is nothing to report of it.
    fn look(&mut self, path: PathBuf) -> Option<Step> {
        let is_named = self.listings.len() == 1;
        if is_named && path.as_os_str() == OsStr::new(STDIN) {
            return Some(Step::Stream(path));
        }
        let found = match fs::metadata(&path) {
            Ok(found) => found,
            Err(error) => return Some(unreadable(path, &error)),
        };
        let identity = (found.dev(), found.ino());
        if self.leave_out == Some(identity) {
            return None;
        }
        if found.is_file() {
            return Some(Step::File(path, found.len()));
        }
        if !found.is_dir() {
            // To open a pipe that nobody writes to waits for ever.
            let reason = "no regular file".to_owned();
            return Some(if is_named { Step::Stream(path) } else { Step::Unreadable(path, reason) });
        }
        if !self.seen.insert(identity) {
            return None;
        }
        match listing(&path) {
            Ok(entries) => {
                self.listings.push(entries.into_iter());
                None
            }
            Err(error) => Some(unreadable(path, &error)),
        }
    }
}

fn unreadable(path: PathBuf, error: &io::Error) -> Step {
    Step::Unreadable(path, format!("it cannot be read: {error}"))
}

fn listing(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        while let Some(listing) = self.listings.last_mut() {
            match listing.next() {
                None => drop(self.listings.pop()),
                Some(path) => {
                    if let Some(step) = self.look(path) {
                        return Some(step);
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn names(root: &Path, walk: Walk) -> Vec<String> {
        let shown = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
        walk.map(|step| match step {
            Step::File(path, size) => format!("{} {size}", shown(&path)),
            Step::Unreadable(path, reason) => format!("{}: {reason}", shown(&path)),
            Step::Stream(path) => format!("stream {}", path.display()),
        })
        .collect()
    }

    #[test]
    fn folders_are_walked_in_order_and_links_make_no_loops() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/inner")).unwrap();
        for (name, text) in [("b/2", "two"), ("b/10", ""), ("b/inner/x", "x"), ("a", "first"), ("state", "mine")] {
            fs::write(root.join(name), text).unwrap();
        }
        symlink(root, root.join("b/inner/loop")).unwrap();
        symlink("nowhere", root.join("c")).unwrap();
        let _socket = UnixListener::bind(root.join("d")).unwrap();
        let walk = Walk::new(vec![root.to_path_buf(), STDIN.into()], Some(&root.join("state")));
        let lost = "c: it cannot be read: No such file or directory (os error 2)";
        let expected = ["a 5", "b/10 0", "b/2 3", "b/inner/x 1", lost, "d: no regular file", "stream -"];
        assert_eq!(names(root, walk), expected);
    }
}
