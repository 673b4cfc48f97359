//! What lies on this machine's disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use backends::local::{DataFolder, Disk, FolderError};
use backends::{ObjectPlace, QueuePlace};

use super::report::Check;

const FOLDER: &str = "data folder";
const DISK: &str = "disk";
const QUEUE: &str = "queue";
const OBJECTS: &str = "objects";

/// Free space that is worth a word.
const LITTLE: u64 = 1 << 30;

/// What is kept here.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) data: PathBuf,
    /// Whether anything is kept in the data folder.
    pub(super) uses_data: bool,
    pub(super) queue: QueuePlace,
    pub(super) objects: Option<ObjectPlace>,
}

impl Local {
    /// Looks at files, and makes none. Blocks for a moment.
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let mut places = Vec::new();
        if self.uses_data {
            checks.push(folder(&self.data));
            places.push(self.data.as_path());
        }
        match &self.queue {
            QueuePlace::Memory => checks.push(forgetful(QUEUE, "QUEUE_URL", "sqlite:PATH or sqs:URL")),
            QueuePlace::File(path) => {
                checks.push(present(QUEUE, path, Path::is_file));
                places.push(path);
            }
            QueuePlace::Postgres(_) | QueuePlace::Sqs(_) => {}
        }
        match &self.objects {
            Some(ObjectPlace::Memory) => checks.push(forgetful(OBJECTS, "OBJECTS_URL", "file:DIR or s3:BUCKET")),
            Some(ObjectPlace::Folder(path)) => {
                checks.push(present(OBJECTS, path, Path::is_dir));
                places.push(path);
            }
            Some(ObjectPlace::Bucket { .. }) | None => {}
        }
        checks.extend(disks(&places));
        checks
    }
}

fn folder(data: &Path) -> Check {
    let shown = data.display();
    match DataFolder::look(data) {
        Ok(None) => Check::not_checked(FOLDER, format!("{shown} is not there yet; the first start makes it")),
        Ok(Some(state)) => {
            let holder = state.holder.map_or_else(|| "nobody has it".to_owned(), |holder| format!("{holder} has it"));
            Check::ok(FOLDER, format!("{shown} is writable, {holder}"))
        }
        Err(FolderError::Unwritable { source, .. }) => {
            let fix = format!("`ls -ld {shown}`: give it to the user that runs keelson, or name another with --data");
            Check::failed(FOLDER, format!("{shown} cannot be used: {source}"), fix)
        }
        Err(error) => Check::failed(FOLDER, error.to_string(), "as it says"),
    }
}

fn present(name: &'static str, path: &Path, is_right: impl Fn(&Path) -> bool) -> Check {
    let shown = path.display();
    if is_right(path) {
        Check::ok(name, format!("{shown}"))
    } else if path.exists() {
        Check::failed(name, format!("{shown} is something else"), "move it away, or name another place")
    } else {
        Check::not_checked(name, format!("{shown} is not there; the first start makes it"))
    }
}

fn forgetful(name: &'static str, setting: &str, others: &str) -> Check {
    let text = format!("{setting}=memory: forgets everything when the process ends");
    Check::warning(name, text, format!("{setting}={others}"))
}

/// One check for each disk.
fn disks(places: &[&Path]) -> Vec<Check> {
    let mut known = BTreeSet::new();
    let found = places.iter().filter_map(|place| Some((*place, nearest_disk(place)?)));
    found.filter(|(_, disk)| known.insert(disk.id)).map(|(place, disk)| room(place, disk)).collect()
}

/// Of what is not there yet, the disk on which it will be.
fn nearest_disk(place: &Path) -> Option<Disk> {
    place.ancestors().map(|it| if it.as_os_str().is_empty() { Path::new(".") } else { it }).find_map(Disk::of)
}

fn room(place: &Path, disk: Disk) -> Check {
    let text = format!("{} free for {}", shown_bytes(disk.free), place.display());
    let fix = "free some space, or enlarge the disk; no restart is needed";
    if disk.free < disk.reserve {
        let text = format!("{text}; the queue takes no message below {}", shown_bytes(disk.reserve));
        Check::failed(DISK, text, fix)
    } else if disk.free < LITTLE {
        Check::warning(DISK, text, fix)
    } else {
        Check::ok(DISK, text)
    }
}

fn shown_bytes(bytes: u64) -> String {
    if bytes >= 10 << 30 { format!("{} GiB", bytes >> 30) } else { format!("{} MiB", bytes >> 20) }
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_disk_is_judged_by_what_the_queue_keeps_free() {
        let disk = |free| room(Path::new("/x"), Disk { free, reserve: 64 << 20, id: 1 });
        assert_eq!(disk(50 << 30).status, Status::Ok);
        assert_eq!(disk(100 << 20).status, Status::Warning);
        let full = disk(63 << 20);
        assert_eq!(full.status, Status::Failed);
        assert!(full.text.contains("63 MiB free") && full.text.contains("below 64 MiB"), "{full:?}");
    }
}
