//! The services' log files: `<service>.log` and `<service>_errors.log`, rotated by size.
//!
//! One process writes to a folder: two would rotate each other's files away.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes after which a file is put aside.
const MAX_FILE_BYTES: u64 = 10 * 1000 * 1000;
/// Files that are kept beside the present one: `.1` is the newest.
const KEPT_FILES: u32 = 5;
/// The owner writes, the group reads.
const FILE_MODE: u32 = 0o640;
/// Characters of a service's name that are used for a file's.
const MAX_NAME_CHARS: usize = 100;

/// All files of one folder.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    max_bytes: u64,
    open: BTreeMap<String, RotatingFile>,
}

impl Files {
    /// Creates the folder if need be and opens the file of `service`, so that a folder that cannot be written to is
    /// found out at start-up.
    pub(super) fn open(folder: &Path, service: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut files = Self { folder: folder.to_owned(), max_bytes: MAX_FILE_BYTES, open: BTreeMap::new() };
        files.file(service, "").opened()?;
        Ok(files)
    }

    /// Appends whole lines to the service's file with this suffix.
    pub(super) fn append(&mut self, service: &str, suffix: &str, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        self.file(service, suffix).append(lines)
    }

    fn file(&mut self, service: &str, suffix: &str) -> &mut RotatingFile {
        let name = format!("{}{suffix}.log", plain_name(service));
        let (path, max_bytes) = (self.folder.join(&name), self.max_bytes);
        self.open.entry(name).or_insert_with(|| RotatingFile { path, file: None, bytes: 0, max_bytes })
    }
}

/// A service's name as a file's: no way out of the folder, nothing hidden, nothing odd.
fn plain_name(service: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = service.chars().take(MAX_NAME_CHARS).map(plain).collect();
    if name.is_empty() || name.starts_with('.') { format!("_{name}") } else { name }
}

/// A file that is renamed to `.1` before it outgrows its limit. Lines are never divided between files.
#[derive(Debug)]
struct RotatingFile {
    path: PathBuf,
    /// `None` before the first line, and after a failure: the next line tries again.
    file: Option<File>,
    bytes: u64,
    max_bytes: u64,
}

impl RotatingFile {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let result = self.append_parts(lines);
        if result.is_err() {
            self.file = None;
        }
        result
    }

    fn append_parts(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            self.opened()?;
            let mut part = whole_lines(lines, self.max_bytes.saturating_sub(self.bytes));
            if part == 0 && self.bytes > 0 {
                self.rotate()?;
                continue;
            }
            if part == 0 {
                // One line longer than a whole file.
                part = lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1);
            }
            self.opened()?.write_all(&lines[..part])?;
            self.bytes += part as u64;
            lines = &lines[part..];
        }
        Ok(())
    }

    fn opened(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.reopen()?,
        };
        Ok(self.file.insert(file))
    }

    fn reopen(&mut self) -> io::Result<File> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(&self.path)?;
        self.bytes = file.metadata()?.len();
        // A crash or a full disk may have left half a line, which must not swallow the next one.
        if self.bytes > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                self.bytes += 1;
            }
        }
        Ok(file)
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        for number in (1..KEPT_FILES).rev() {
            rename_if_there(&self.numbered(number), &self.numbered(number + 1))?;
        }
        rename_if_there(&self.path, &self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

/// Bytes of the whole lines at the start of `lines` that fit into `room`.
fn whole_lines(lines: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(lines.len());
    lines[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn small_files(folder: &Path, max_bytes: u64) -> Files {
        let mut files = Files::open(folder, "ingest").unwrap();
        files.open.clear();
        files.max_bytes = max_bytes;
        files
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn rotation_keeps_five_and_loses_no_line_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = small_files(folder.path(), 100);
        // Ten bytes a line, ten lines a file: 75 lines make seven full files and a half, of which 1½ are gone.
        for batch in (0..75).collect::<Vec<u32>>().chunks(7) {
            let lines: String = batch.iter().map(|n| format!("line {n:04}\n")).collect();
            files.append("ingest", "", lines.as_bytes()).unwrap();
        }
        let expected = ["ingest.log", "ingest.log.1", "ingest.log.2", "ingest.log.3", "ingest.log.4", "ingest.log.5"];
        assert_eq!(names(folder.path()), expected);
        let kept: String =
            expected.iter().rev().map(|name| fs::read_to_string(folder.path().join(name)).unwrap()).collect();
        let all: String = (20..75).map(|n| format!("line {n:04}\n")).collect();
        assert_eq!(kept, all);
    }

    #[test]
    fn a_line_longer_than_a_file_is_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = small_files(folder.path(), 10);
        files.append("ingest", "", b"a\nvery long line indeed\nb\n").unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("ingest.log.2"), "a\n");
        assert_eq!(read("ingest.log.1"), "very long line indeed\n");
        assert_eq!(read("ingest.log"), "b\n");
    }

    #[test]
    fn a_half_line_of_a_crash_does_not_swallow_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ingest.log"), "{\"half").unwrap();
        Files::open(folder.path(), "ingest").unwrap().append("ingest", "", b"{}\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("ingest.log")).unwrap(), "{\"half\n{}\n");
    }

    #[test]
    fn files_are_not_for_everyone_and_names_stay_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::open(folder.path(), "ingest").unwrap();
        for service in ["../../etc/passwd", "", ".hidden", "a\nb"] {
            files.append(service, "_errors", b"{}\n").unwrap();
        }
        assert_eq!(
            names(folder.path()),
            ["_.._.._etc_passwd_errors.log", "_.hidden_errors.log", "__errors.log", "a_b_errors.log", "ingest.log"]
        );
        let mode = fs::metadata(folder.path().join("ingest.log")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7, 0, "{mode:o}");
    }

    #[test]
    fn a_failed_write_is_tried_again_at_the_next_line() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("logs");
        let mut files = small_files(&inner, 100);
        fs::remove_dir_all(&inner).unwrap();
        assert!(files.append("ingest", "", b"lost\n").is_err());
        fs::create_dir(&inner).unwrap();
        files.append("ingest", "", b"kept\n").unwrap();
        assert_eq!(fs::read_to_string(inner.join("ingest.log")).unwrap(), "kept\n");
    }
}
