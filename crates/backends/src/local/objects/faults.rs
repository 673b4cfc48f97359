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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_broken_read_only_or_closed_disk_is_unavailable() {
        const SYSTEM_ERRORS: [(&str, i32); 5] =
            [("ENOSPC", 28), ("EDQUOT", 122), ("EIO", EIO), ("EROFS", 30), ("EACCES", 13)];
        for (name, number) in SYSTEM_ERRORS {
            let sorted = sort(&io::Error::from_raw_os_error(number));
            assert!(matches!(sorted, ObjectError::Unavailable(_)), "{name}: {sorted:?}");
        }
    }

    #[test]
    fn an_error_of_one_object_leaves_the_store_available() {
        let escape = io::Error::new(ErrorKind::PermissionDenied, "a path led outside of the filesystem");
        for error in [escape, io::Error::from(ErrorKind::InvalidFilename), io::Error::from(ErrorKind::FileTooLarge)] {
            assert!(matches!(sort(&error), ObjectError::Other(_)), "{error}");
        }
    }
}
