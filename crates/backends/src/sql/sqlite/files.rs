//! Files that several stores share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use chassis::telemetry::storage::StoreFailures;
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::SqliteDatabase;
use crate::OpenError;
use crate::migrations::{self, Migrations};

/// The files of stores that a process has open. Stores of several services that lie in one file share its one writer, so
/// that none waits for the lock of another, and what all of them write at one moment is one fsync. Cheap to clone; clones
/// know the same files.
#[derive(Debug, Clone, Default)]
pub struct SqliteFiles(Arc<Mutex<HashMap<PathBuf, Weak<SqliteDatabase>>>>);

impl SqliteFiles {
    /// The file at `path`, with tables of a service that are up to date.
    pub(crate) async fn open(
        &self,
        migrations: &'static Migrations,
        path: &Path,
        now: Timestamp,
        failures: StoreFailures,
    ) -> Result<Arc<SqliteDatabase>, OpenError> {
        let mut files = self.0.lock().await;
        let (connection, _) = migrations::sqlite::open(migrations, path, now).await?;
        // However it is spelled; it is there now.
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(open) = files.get(&place).and_then(Weak::upgrade) {
            return Ok(open);
        }
        let opened = Arc::new(SqliteDatabase::new(path, connection, failures));
        files.insert(place, Arc::downgrade(&opened));
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use chassis::telemetry::storage::StorageFailures;

    use super::*;
    use crate::sql::{ORDERS, USERS};

    #[tokio::test]
    async fn a_file_is_open_once_while_a_store_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("x.db"), folder.path().join("y.db"));
        let (files, failures) = (SqliteFiles::default(), StorageFailures::default());
        let open = async |migrations, path: &Path| {
            files.clone().open(migrations, path, Timestamp::UNIX_EPOCH, failures.of("database")).await.unwrap()
        };
        let first = open(&USERS, &path).await;
        assert!(Arc::ptr_eq(&first, &open(&ORDERS, &path).await));
        let spelled = folder.path().join(".").join("x.db");
        assert!(Arc::ptr_eq(&first, &open(&ORDERS, &spelled).await), "another spelling is no other file");
        assert!(!Arc::ptr_eq(&first, &open(&ORDERS, &other).await));
        let before = Arc::downgrade(&first);
        drop(first);
        assert!(before.upgrade().is_none(), "nobody has it any more");
        open(&USERS, &path).await;
    }
}
