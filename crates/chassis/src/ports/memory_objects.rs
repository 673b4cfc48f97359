//! The object store in memory: for tests and for `OBJECTS_URL=memory:`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use crate::ports::objects::{List, Listed, ObjectError, ObjectKey, ObjectStore, Put};

/// A store that lives and dies with the process, with the limits of a file system. Tests take it away.
#[derive(Default)]
pub struct MemoryObjects {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Bytes>,
    modified_at: HashMap<String, Timestamp>,
    failing: HashSet<String>,
    unavailable: bool,
}

impl MemoryObjects {
    /// An empty store.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Makes every call fail as unavailable, or work again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    /// Makes every call for this key fail with [`ObjectError::Other`], until [`Self::heal_key`].
    pub fn fail_key(&self, key: &str) {
        self.lock().failing.insert(key.to_owned());
    }

    /// Ends [`Self::fail_key`].
    pub fn heal_key(&self, key: &str) {
        self.lock().failing.remove(key);
    }

    /// Makes lists say that this object was last written at `at`; of others they do not tell it.
    pub fn set_modified(&self, key: &str, at: Timestamp) {
        self.lock().modified_at.insert(key.to_owned(), at);
    }

    /// The keys of all objects, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, key: &ObjectKey) -> Result<MutexGuard<'_, State>, ObjectError> {
        let state = self.lock();
        state.check_available()?;
        if state.failing.contains(key.as_str()) {
            return Err(ObjectError::Other(format!("the key {key} was made to fail")));
        }
        Ok(state)
    }
}

impl State {
    fn check_available(&self) -> Result<(), ObjectError> {
        if self.unavailable {
            return Err(ObjectError::Unavailable("switched off".into()));
        }
        Ok(())
    }

    /// Refuses what a file system cannot hold: an object that is the folder of another one.
    fn check_folders(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let key = key.as_str();
        let slashes = key.match_indices('/').map(|(at, _)| at);
        if let Some(above) = slashes.map(|at| &key[..at]).find(|folder| self.objects.contains_key(*folder)) {
            return Err(ObjectError::InvalidKey(format!("{key:?}: there is an object {above:?}")));
        }
        let below = format!("{key}/");
        let from = (Bound::Included(below.clone()), Bound::Unbounded);
        if self.objects.range(from).next().is_some_and(|(other, _)| other.starts_with(&below)) {
            return Err(ObjectError::InvalidKey(format!("{key:?}: there are objects below it")));
        }
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for MemoryObjects {
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes, _content_type: &str) -> Result<Put, ObjectError> {
        let mut state = self.open(key)?;
        if state.objects.contains_key(key.as_str()) {
            return Ok(Put::AlreadyExists);
        }
        state.check_folders(key)?;
        state.objects.insert(key.to_string(), body);
        Ok(Put::Created)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError> {
        Ok(self.open(key)?.objects.get(key.as_str()).cloned())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        let mut state = self.open(key)?;
        state.modified_at.remove(key.as_str());
        Ok(state.objects.remove(key.as_str()).is_some())
    }

    fn list(&self, folder: Option<&ObjectKey>) -> List {
        let below = folder.map(|folder| format!("{folder}/")).unwrap_or_default();
        let state = self.lock();
        let found: Vec<_> = match state.check_available() {
            Err(error) => vec![Err(error)],
            Ok(()) => {
                let objects = state.objects.range(below.clone()..).take_while(|(key, _)| key.starts_with(&below));
                let listed = |(key, body): (&String, &Bytes)| {
                    let modified_at = state.modified_at.get(key).copied();
                    key.parse().map(|key| Listed { key, size_bytes: body.len() as u64, modified_at })
                };
                objects.map(listed).collect()
            }
        };
        stream::iter(found).boxed()
    }

    async fn ping(&self) -> Result<(), ObjectError> {
        self.lock().check_available()
    }
}

impl fmt::Debug for MemoryObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryObjects").field("objects", &self.lock().objects.len()).finish_non_exhaustive()
    }
}
