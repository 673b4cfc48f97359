//! An object store on which something happens before each put.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chassis::ports::{List, MemoryObjects, ObjectError, ObjectKey, ObjectStore, Put};

pub(crate) struct FaultyObjects<F> {
    pub(crate) inner: Arc<MemoryObjects>,
    pub(crate) before_put: F,
}

impl<F> fmt::Debug for FaultyObjects<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl<F: Fn(&ObjectKey) -> Result<(), ObjectError> + Send + Sync + 'static> ObjectStore for FaultyObjects<F> {
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes, content_type: &str) -> Result<Put, ObjectError> {
        (self.before_put)(key)?;
        self.inner.put_if_absent(key, body, content_type).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, ObjectError> {
        self.inner.get(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<bool, ObjectError> {
        self.inner.delete(key).await
    }

    fn list(&self, folder: Option<&ObjectKey>) -> List {
        self.inner.list(folder)
    }

    async fn ping(&self) -> Result<(), ObjectError> {
        self.inner.ping().await
    }
}
