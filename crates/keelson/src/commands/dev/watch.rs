//! Which files changed: those of the packages and what cargo reads at the root of the workspace. What the services and
//! cargo write, and what editors leave for a moment, is not looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::EventKind;
use notify::{Config, ErrorKind, Event, EventHandler, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::console::complain;
use super::workspace::{Workspace, resolved};
use crate::failure::Failure;

/// How long the files must be quiet: an editor saves many at once, and a branch is checked out file by file.
const QUIET: Duration = Duration::from_millis(100);

/// What cargo reads in the root of the workspace.
const ROOT_FILES: &[&str] = &["Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml"];
/// And in a folder below it.
const CARGO_FOLDER: &str = ".cargo";

/// Which files count.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    root: PathBuf,
    packages: Vec<PathBuf>,
    /// Folders that are written while services run.
    written: Vec<PathBuf>,
}

impl Sources {
    /// Those of a workspace, without these folders.
    pub(super) fn of<'a>(workspace: &Workspace, written: impl Iterator<Item = &'a Path>) -> Self {
        let written = written.map(|path| resolved(path.to_owned())).chain([workspace.target.clone()]).collect();
        Self { root: workspace.root.clone(), packages: workspace.packages.clone(), written }
    }

    fn count(&self, path: &Path) -> bool {
        if self.written.iter().any(|folder| path.starts_with(folder)) {
            return false;
        }
        let is_read_by_cargo = |rest: &Path| {
            rest.starts_with(CARGO_FOLDER) || rest.to_str().is_some_and(|name| ROOT_FILES.contains(&name))
        };
        let in_root = path.strip_prefix(&self.root).is_ok_and(is_read_by_cargo);
        let in_package = |folder: &PathBuf| path.strip_prefix(folder).is_ok_and(is_kept);
        in_root || self.packages.iter().any(in_package)
    }
}

/// Whether a file of a package is there to stay. Editors write to other names first, or keep the old text or their
/// changes in them.
fn is_kept(path: &Path) -> bool {
    path.iter().all(|part| {
        let name = part.to_string_lossy();
        let is_passing = name.ends_with('~') || name == "4913" || name.contains("___jb_");
        !name.starts_with(['.', '#']) && !is_passing
    }) && !path.extension().is_some_and(|extension| ["swp", "swx", "tmp", "orig"].iter().any(|it| extension == *it))
}

/// Tells of edits.
pub(super) struct Watch {
    edits: Arc<Edits>,
    _watcher: Box<dyn Watcher + Send>,
}

/// The files that have changed and that nobody has taken: each once, however often it did.
#[derive(Debug, Default)]
struct Edits {
    paths: Mutex<BTreeSet<PathBuf>>,
    /// There are more.
    more: Notify,
}

impl Edits {
    fn add(&self, paths: Vec<PathBuf>) {
        if !paths.is_empty() {
            self.paths().extend(paths);
            self.more.notify_one();
        }
    }

    fn paths(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Watches from now on: told by the system, or by a look at every file each `poll`.
    pub(super) fn start(sources: Sources, poll: Option<Duration>) -> Result<Self, Failure> {
        let edits = Arc::new(Edits::default());
        // The times of files alone would hide the second of two edits within a second.
        let looking = |interval| Config::default().with_poll_interval(interval).with_compare_contents(true);
        let handler = handler(Arc::clone(&edits), sources.clone());
        let watcher = match poll {
            Some(interval) => watching::<PollWatcher>(handler, looking(interval), &sources),
            None => watching::<RecommendedWatcher>(handler, Config::default(), &sources),
        };
        let unwatchable =
            |error| format!("the sources cannot be watched: {}; --poll 1s works everywhere", explained(&error));
        let watcher = watcher.map_err(|error| Failure::failed(unwatchable(error)))?;
        Ok(Self { edits, _watcher: watcher })
    }

    /// Waits for an edit, and leaves it for [`Self::edits`].
    pub(super) async fn edited(&mut self) {
        while !self.has_edits() {
            self.edits.more.notified().await;
        }
    }

    /// Waits for an edit and until the files are quiet. Nothing is lost when the wait is given up.
    pub(super) async fn edits(&mut self) -> BTreeSet<PathBuf> {
        self.edited().await;
        while timeout(QUIET, self.edits.more.notified()).await.is_ok() {}
        std::mem::take(&mut *self.edits.paths())
    }

    /// Whether files have changed that nobody has taken.
    pub(super) fn has_edits(&self) -> bool {
        !self.edits.paths().is_empty()
    }
}

/// What the watcher's thread does with what it is told.
fn handler(edits: Arc<Edits>, sources: Sources) -> impl EventHandler {
    let mut has_complained = false;
    move |event: notify::Result<Event>| match event {
        Ok(event) => edits.add(changed_by(event, &sources)),
        // Said once: about a link that leads nowhere it is told at every look.
        Err(error) if !has_complained => {
            complain(&format!("some edits may go unseen: {}", explained(&error)));
            has_complained = true;
        }
        Err(_) => {}
    }
}

fn watching<W: Watcher + Send + 'static>(
    handler: impl EventHandler,
    config: Config,
    sources: &Sources,
) -> notify::Result<Box<dyn Watcher + Send>> {
    let mut watcher = W::new(handler, config)?;
    watcher.watch(&sources.root, RecursiveMode::NonRecursive)?;
    let cargo_folder = sources.root.join(CARGO_FOLDER);
    if cargo_folder.is_dir() {
        watcher.watch(&cargo_folder, RecursiveMode::NonRecursive)?;
    }
    for folder in sources.packages.iter().filter(|folder| *folder != &sources.root) {
        watcher.watch(folder, RecursiveMode::Recursive)?;
    }
    Ok(Box::new(watcher))
}

/// The files that count. When some changes could not be told, any file may have changed.
fn changed_by(event: Event, sources: &Sources) -> Vec<PathBuf> {
    if event.need_rescan() {
        return vec![sources.root.clone()];
    }
    if matches!(event.kind, EventKind::Access(_)) {
        return Vec::new();
    }
    event.paths.into_iter().filter(|path| sources.count(path)).collect()
}

fn explained(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system lets nobody watch more files (fs.inotify.max_user_watches is to be raised)".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        let packages = vec!["/w/crates/keelson".into(), "/w/services/users".into()];
        Sources { root: "/w".into(), packages, written: vec!["/w/target".into(), "/w/services/users/data".into()] }
    }

    #[test]
    fn sources_and_manifests_count() {
        for path in [
            "/w/crates/keelson/src/main.rs",
            "/w/services/users/migrations/1.sql",
            "/w/services/users/Cargo.toml",
            "/w/Cargo.lock",
            "/w/rust-toolchain.toml",
            "/w/.cargo/config.toml",
        ] {
            assert!(sources().count(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn what_is_written_meanwhile_does_not() {
        for path in [
            "/w/target/debug/keelson",
            "/w/services/users/data/queue.db",
            "/w/keelson-data/queue.db",
            "/w/README.md",
            "/w/.git/index",
            "/w/services/users/src/.lib.rs.swp",
            "/w/services/users/src/.#lib.rs",
            "/w/services/users/src/#lib.rs#",
            "/w/services/users/src/lib.rs~",
            "/w/services/users/src/4913",
            "/w/services/users/src/lib.rs___jb_tmp___",
            "/w/bench/src/main.rs",
        ] {
            assert!(!sources().count(Path::new(path)), "{path}");
        }
    }

    async fn tells_of_edits(poll: Option<Duration>) {
        let folder = tempfile::tempdir().unwrap();
        let root = resolved(folder.path().to_owned());
        let package = root.join("package");
        std::fs::create_dir_all(package.join("src")).unwrap();
        std::fs::write(package.join("src/lib.rs"), "before").unwrap();
        let sources =
            Sources { root: root.clone(), packages: vec![package.clone()], written: vec![root.join("target")] };
        let mut watch = Watch::start(sources, poll).unwrap();
        std::fs::read(package.join("src/lib.rs")).unwrap();
        std::fs::write(root.join("README.md"), "nothing").unwrap();
        assert!(timeout(QUIET * 3, watch.edited()).await.is_err(), "nothing has changed");

        std::fs::write(package.join("src/lib.rs"), "and after").unwrap();
        timeout(PATIENCE, watch.edited()).await.unwrap();
        assert!(watch.has_edits());
        let edits = timeout(PATIENCE, watch.edits()).await.unwrap();
        assert!(edits.contains(&package.join("src/lib.rs")), "{edits:?}");
        assert!(!watch.has_edits());

        std::fs::create_dir(package.join("src/new")).unwrap();
        timeout(PATIENCE, watch.edits()).await.unwrap();
        let file = package.join("src/new/mod.rs");
        std::fs::write(&file, "new").unwrap();
        // The folder may be told of again.
        while !timeout(PATIENCE, watch.edits()).await.unwrap().contains(&file) {}
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn edits_are_told_and_reads_are_not() {
        tells_of_edits(None).await;
    }

    #[tokio::test]
    async fn edits_are_found_by_looking() {
        tells_of_edits(Some(Duration::from_millis(50))).await;
    }
}
