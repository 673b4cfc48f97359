//! The backends that need nothing but a folder on the local disk: what `keelson up` runs on.

pub(crate) mod durable;
mod folder;
mod objects;
mod queue;
mod secret_file;
mod secrets;
mod space;

pub use folder::{DataFolder, FolderError, FolderState};
pub use objects::FileObjects;
pub use queue::SqliteQueue;
pub use secret_file::{SecretFile, SecretFileError};
pub use secrets::{FileSecrets, generated_key, generated_secret, generated_secret_path, random_bytes, random_secret};
pub use space::Disk;
