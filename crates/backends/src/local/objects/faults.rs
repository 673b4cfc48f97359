//! Sorts the file system's errors by meaning.

use std::io::{self, ErrorKind};

use chassis::ports::objects::{ObjectError, ObjectKey};
use chassis::telemetry::storage::StorageFailure;

/// "Too many levels of symbolic links", which has no kind in stable Rust.
const ELOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };

/// An error that is known to be of this one object is `Other`. Whatever else the system says is `Unavailable`: a
/// disk, a mount or a process at its limits fails every object alike, and must cost no message an attempt.
pub(super) fn sort(error: &io::Error) -> ObjectError {
    if is_of_the_object(error) {
        ObjectError::Other(error.to_string())
    } else {
        ObjectError::Unavailable(error.to_string())
    }
}

/// What is counted: nothing for an error of one object.
pub(super) fn kind(error: &io::Error) -> Option<StorageFailure> {
    match error.kind() {
        _ if is_of_the_object(error) => None,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(StorageFailure::DiskFull),
        _ => Some(StorageFailure::Other),
    }
}

/// Whether other objects may do well. A path that leads out of the folder is denied by `cap-std`, not by the system,
/// and so has no system error.
fn is_of_the_object(error: &io::Error) -> bool {
    let Some(number) = error.raw_os_error() else { return true };
    let of_its_path = matches!(
        error.kind(),
        ErrorKind::AlreadyExists
            | ErrorKind::CrossesDevices
            | ErrorKind::FileTooLarge
            | ErrorKind::InvalidFilename
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::NotFound
            | ErrorKind::TooManyLinks
    );
    of_its_path || number == ELOOP
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
    fn an_error_of_the_disk_the_mount_or_the_process_is_unavailable() {
        const SYSTEM_ERRORS: [(&str, i32); 13] = [
            ("EPERM", 1),
            ("EIO", 5),
            ("ENXIO", 6),
            ("ENOMEM", 12),
            ("EACCES", 13),
            ("ENODEV", 19),
            ("ENFILE", 23),
            ("EMFILE", 24),
            ("ENOSPC", 28),
            ("EROFS", 30),
            ("ENOTCONN", 107),
            ("ESTALE", 116),
            ("EDQUOT", 122),
        ];
        for (name, number) in SYSTEM_ERRORS {
            let sorted = sort(&io::Error::from_raw_os_error(number));
            assert!(matches!(sorted, ObjectError::Unavailable(_)), "{name}: {sorted:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_error_of_one_object_leaves_the_store_available() {
        const SYSTEM_ERRORS: [(&str, i32); 7] = [
            ("ENOENT", 2),
            ("EXDEV", 18),
            ("ENOTDIR", 20),
            ("EISDIR", 21),
            ("EFBIG", 27),
            ("ENAMETOOLONG", 36),
            ("ELOOP", ELOOP),
        ];
        for (name, number) in SYSTEM_ERRORS {
            let sorted = sort(&io::Error::from_raw_os_error(number));
            assert!(matches!(sorted, ObjectError::Other(_)), "{name}: {sorted:?}");
        }
    }

    #[test]
    fn a_way_out_of_the_folder_leaves_the_store_available() {
        let escape = io::Error::new(ErrorKind::PermissionDenied, "a path led outside of the filesystem");
        assert!(matches!(sort(&escape), ObjectError::Other(_)));
    }
}
