//! Sorts the file system's errors by meaning.

use std::io::{self, ErrorKind};

use chassis::ports::objects::{ObjectError, ObjectKey};

/// "Input/output error", which has no kind of its own; the same number on Linux, macOS and the BSDs.
const EIO: i32 = 5;

/// An error of the disk or the folder as a whole is `Unavailable`, any other concerns the one object.
pub(super) fn sort(error: &io::Error) -> ObjectError {
    if is_of_the_store(error) {
        ObjectError::Unavailable(error.to_string())
    } else {
        ObjectError::Other(error.to_string())
    }
}

/// Whether other objects would fail the same way. A path that leads out of the folder is denied by `cap-std`, not
/// by the system, and so has no system error.
fn is_of_the_store(error: &io::Error) -> bool {
    let is_of_the_system = error.raw_os_error().is_some();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem => true,
        ErrorKind::PermissionDenied => is_of_the_system,
        _ => error.raw_os_error() == Some(EIO),
    }
}

pub(super) fn gone() -> ObjectError {
    ObjectError::Unavailable("the folder of the objects is gone".into())
}

pub(super) fn taken(key: &ObjectKey) -> ObjectError {
    let key = key.as_str();
    ObjectError::InvalidKey(format!("{key:?}: an object cannot be the folder of another one on a file system"))
}
