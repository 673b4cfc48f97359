//! Objects as plain files under one folder, by their key.
//!
//! A put writes a temporary file and fsyncs it, moves it to its name (which only one of many writers can do) and
//! fsyncs the folders, before it answers. What an fsync failed for is never synced again: it is written again, in a new
//! file. Readers see whole objects or none. `cap-std` keeps every path below the
//! folder, whatever symbolic links somebody puts there. What cannot be stored beside other objects, see the port.

mod faults;
mod list;
mod put;
mod sync;
mod together;

use std::fmt;
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use chassis::ports::objects::{List, ObjectError, ObjectKey, ObjectStore, Put};
use chassis::telemetry::storage::{StorageFailures, StoreFailures};
use futures_util::{StreamExt as _, stream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::put::{Folder, TEMPORARY, create_folder, is_temporary};
use super::durable;
use crate::OpenError;

/// File operations at a time; others wait.
const CONCURRENCY: usize = 32;

/// Objects that a list finds before they are asked for.
const LISTED_AHEAD: usize = 256;

/// A folder of objects.
pub struct FileObjects {
    path: PathBuf,
    folder: Arc<RwLock<Arc<Folder>>>,
    permits: Arc<Semaphore>,
    failures: StoreFailures,
}

impl FileObjects {
    /// Opens the folder, creating it where there is none, and clears away what a process that died left half written,
    /// unless another one has the folder open and may be writing. Blocks for a moment.
    ///
    /// Failures of the disk are counted in `failures`.
    ///
    /// # Errors
    /// When the folder cannot be created or written.
    pub fn open(path: impl Into<PathBuf>, failures: &StorageFailures) -> Result<Arc<Self>, OpenError> {
        let (path, failures) = (path.into(), failures.of("objects"));
        let folder = open_folder(&path, &failures)
            .map_err(|error| OpenError::unusable(&path, error, "objects need a folder that can be written"))?;
        let folder = Arc::new(RwLock::new(Arc::new(folder)));
        Ok(Arc::new(Self { path, folder, failures, permits: Arc::new(Semaphore::new(CONCURRENCY)) }))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on the blocking pool. Dropping the future does not stop it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, ObjectError> + Send + 'static,
    ) -> Result<T, ObjectError> {
        self.start(|folder, answer| answer(work(folder))).await
    }

    /// The same; then brings the object's name to the disk. Meanwhile it is no file operation of its own: many wait for
    /// one fsync, in another thread.
    async fn run_and_sync<T: Send + 'static>(
        &self,
        key: &ObjectKey,
        work: impl FnOnce(&Folder) -> Result<T, ObjectError> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let key = key.clone();
        let run = move |folder: &Folder, answer: Answer<T>| match work(folder) {
            Ok(done) => folder.sync_name(&key, Box::new(|synced| answer(synced.map(|()| done)))),
            Err(error) => answer(Err(error)),
        };
        self.start(run).await
    }

    async fn start<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Folder, Answer<T>) + Send + 'static,
    ) -> Result<T, ObjectError> {
        let failed = || ObjectError::Other("the file operation did not end".into());
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| failed())?;
        let (path, place, failures) = (self.path.clone(), Arc::clone(&self.folder), self.failures.clone());
        let (reply, answered) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let _until_done = permit;
            let folder = Arc::clone(&place.read().unwrap_or_else(PoisonError::into_inner));
            let used = Arc::clone(&folder);
            let answer = move |outcome: Result<T, ObjectError>| {
                if matches!(outcome, Err(ObjectError::Unavailable(_))) {
                    replace_if_gone(&place, &used, &path, &failures);
                }
                // The caller may have gone.
                let _gone = reply.send(outcome);
            };
            run(&folder, Box::new(answer));
        });
        answered.await.unwrap_or_else(|_| Err(failed()))
    }
}

/// Tells the caller of the outcome.
type Answer<T> = Box<dyn FnOnce(Result<T, ObjectError>) + Send>;

/// A handle stays with the folder that it was opened on. When that is gone and there is another one in its place, the
/// next call finds that; none is made here, as what is missing may be a disk that is not mounted.
fn replace_if_gone(place: &RwLock<Arc<Folder>>, gone: &Arc<Folder>, path: &Path, failures: &StoreFailures) {
    if gone.check().is_ok() || !path.is_dir() {
        return;
    }
    let mut folder = place.write().unwrap_or_else(PoisonError::into_inner);
    if Arc::ptr_eq(&folder, gone)
        && let Ok(fresh) = open_folder(path, failures)
    {
        tracing::info!(objects.path = %path.display(), "the folder of the objects was opened anew");
        *folder = Arc::new(fresh);
    }
}

/// The folder with a `.tmp` in it, which no key can name.
fn open_folder(path: &Path, failures: &StoreFailures) -> io::Result<Folder> {
    durable::create_folder(path)?;
    let root = Dir::open_ambient_dir(path, ambient_authority())?;
    match create_folder(&root, TEMPORARY) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let in_use = root.open(".")?.into_std();
    // Where locks are not supported one process is taken for the only one.
    if !matches!(in_use.try_lock(), Err(TryLockError::WouldBlock)) {
        clear(&root.open_dir(TEMPORARY)?)?;
    }
    let _unsupported = in_use.lock_shared();
    Folder::new(root, in_use, failures.clone())
}

/// What is not ours stays, whoever put it there.
fn clear(temporary: &Dir) -> io::Result<()> {
    for entry in temporary.entries()? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(is_temporary) {
            temporary.remove_file(name)?;
        }
    }
    Ok(())
}

#[async_trait]
impl ObjectStore for FileObjects {
    /// The content type is not kept: files have none.
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes, _content_type: &str) -> Result<Put, ObjectError> {
        let owned = key.clone();
        self.run_and_sync(key, move |folder| folder.put(&owned, &body)).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError> {
        let key = key.clone();
        self.run(move |folder| folder.get(&key)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        let owned = key.clone();
        let is_removed = self.run(move |folder| folder.delete(&owned)).await?;
        if !is_removed {
            return Ok(false);
        }
        let key = key.clone();
        self.start(move |folder, answer| folder.sync_removal(&key, answer)).await?;
        Ok(true)
    }

    async fn remove_empty_folder(&self, folder: &ObjectKey) -> Result<bool, ObjectError> {
        let folder = folder.clone();
        self.run(move |root| root.remove_empty_folder(&folder)).await
    }

    fn list(&self, folder: Option<&ObjectKey>) -> List {
        let (place, folder) = (Arc::clone(&self.folder), folder.cloned());
        // Begins with the first look.
        let listed = async move {
            let (found, listed) = mpsc::channel(LISTED_AHEAD);
            let walk = tokio::task::spawn_blocking(move || {
                let root = Arc::clone(&place.read().unwrap_or_else(PoisonError::into_inner));
                list::list(&root, folder.as_ref(), &found);
            });
            let found = stream::unfold(listed, async |mut listed| Some((listed.recv().await?, listed)));
            // A walk that panicked looks like one that has come to its end.
            let end = stream::once(walk).filter_map(async |ended| {
                ended.err().map(|error| Err(ObjectError::Other(format!("the list was not finished: {error}"))))
            });
            found.chain(end)
        };
        stream::once(listed).flatten().boxed()
    }

    async fn ping(&self) -> Result<(), ObjectError> {
        self.run(Folder::check).await
    }
}

impl fmt::Debug for FileObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileObjects").field("path", &self.path).finish_non_exhaustive()
    }
}
