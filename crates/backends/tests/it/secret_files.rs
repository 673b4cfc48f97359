//! Secrets in files that commands change.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use backends::local::{SecretFile, SecretFileError};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

fn folder_with(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn replace(path: &Path, text: &str) {
    SecretFile::lock(path).unwrap().replace(text.into()).unwrap();
}

/// Temporary files have the ring in them, so none may stay.
fn names(folder: &TempDir) -> Vec<String> {
    let entries = folder.path().read_dir().unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_secret_is_read_and_replaced_with_a_line_break_behind_it() {
    let (folder, path) = folder_with("first\r\n");
    let mut file = SecretFile::lock(&path).unwrap();
    assert_eq!(file.secret().expose_secret(), "first");
    for text in ["second, and longer", "third"] {
        file.replace(text.into()).unwrap();
        assert_eq!(file.secret().expose_secret(), text);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{text}\n"));
    }
    assert_eq!(names(&folder), ["key"]);
}

#[test]
fn mode_and_owner_stay() {
    let (_folder, path) = folder_with("first");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    for (mode, others) in [(0o600, false), (0o400, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        if is_root {
            chown(&path, Some(4321), Some(1234)).unwrap();
        }
        let before = fs::metadata(&path).unwrap();
        assert_eq!(SecretFile::lock(&path).unwrap().is_open_to_others(), others, "{mode:o}");
        replace(&path, &format!("{mode:o}"));
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
        assert_ne!(after.ino(), before.ino(), "it was written in place, where readers see half of it");
    }
}

/// As Kubernetes mounts a secret: a link to a file in a folder that is a link itself.
#[test]
fn what_a_link_leads_to_is_replaced_and_the_link_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("..2026_07")).unwrap();
    fs::write(at("..2026_07/key"), "first").unwrap();
    symlink("..2026_07", at("..data")).unwrap();
    symlink("..data/key", at("key")).unwrap();
    replace(&at("key"), "second");
    assert_eq!(fs::read_to_string(at("..2026_07/key")).unwrap(), "second\n");
    assert_eq!(fs::read_link(at("key")).unwrap(), Path::new("..data/key"));
    assert_eq!(SecretFile::lock(&at("key")).unwrap().path(), fs::canonicalize(at("..2026_07/key")).unwrap());
}

#[test]
fn who_comes_second_is_refused_until_the_first_is_done() {
    let (_folder, path) = folder_with("first");
    let mut first = SecretFile::lock(&path).unwrap();
    let is_refused = || matches!(SecretFile::lock(&path), Err(SecretFileError::InUse(_)));
    assert!(is_refused());
    // It is another file now, and locked like the one before.
    first.replace("second".into()).unwrap();
    assert!(is_refused());
    assert_eq!(SecretFile::read(&path).unwrap().expose_secret(), "second", "readers need no lock");
    drop(first);
    assert!(!is_refused());
}

#[test]
fn of_many_who_change_a_file_at_once_none_is_lost() {
    let (folder, path) = folder_with("0");
    let add = |letter: char| {
        let begun = Instant::now();
        let mut file = loop {
            match SecretFile::lock(&path) {
                Ok(file) => break file,
                Err(SecretFileError::InUse(_)) if begun.elapsed() < Duration::from_secs(30) => thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        let text = format!("{}{letter}", file.secret().expose_secret());
        file.replace(text.into()).unwrap();
    };
    thread::scope(|scope| {
        for letter in 'a'..='f' {
            scope.spawn(move || (0..20).for_each(|_| add(letter)));
        }
    });
    let text = SecretFile::read(&path).unwrap();
    for letter in 'a'..='f' {
        assert_eq!(text.expose_secret().matches(letter).count(), 20, "{letter}");
    }
    assert_eq!(names(&folder), ["key"]);
}

#[test]
fn what_somebody_changed_without_the_lock_is_left_as_it_is() {
    type Change = fn(&Path);
    let changes: [(Change, Option<&str>); 3] = [
        (|path| fs::write(path, "by an editor").unwrap(), Some("by an editor")),
        (
            |path| {
                fs::write(path.with_extension("new"), "first").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            },
            Some("first"),
        ),
        (|path| fs::remove_file(path).unwrap(), None),
    ];
    for (change, left) in changes {
        let (folder, path) = folder_with("first");
        let mut file = SecretFile::lock(&path).unwrap();
        change(&path);
        let error = file.replace("second".into()).unwrap_err();
        assert!(matches!(error, SecretFileError::Changed(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), left);
        assert_eq!(names(&folder).len(), usize::from(left.is_some()));
    }
}

#[test]
fn what_a_killed_process_of_the_same_number_left_is_no_obstacle() {
    let (folder, path) = folder_with("first");
    let left_over = |number| folder.path().join(format!(".key.{}-{number}", std::process::id()));
    let target = folder.path().join("target");
    fs::write(&target, "of somebody else").unwrap();
    (0..1000).for_each(|number| symlink(&target, left_over(number)).unwrap());
    replace(&path, "second");
    assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
    assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "of somebody else");
}

#[test]
fn what_is_no_secret_in_a_plain_file_is_refused_at_once_and_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("empty"), "\n").unwrap();
    fs::write(at("binary"), [0xff, 0xfe]).unwrap();
    fs::write(at("long"), "x".repeat(65 << 10)).unwrap();
    fs::write(at("linked"), "secret-of-a-test").unwrap();
    fs::hard_link(at("linked"), at("other name")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("loop", at("loop")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    for (name, expected) in [
        ("folder", "it is not a plain file"),
        ("pipe", "it is not a plain file"),
        ("/dev/zero", "it is not a plain file"),
        ("empty", "there is no secret in"),
        ("nothing", "there is no secret in"),
        ("linked/below", "there is no secret in"),
        ("dangling", "there is no secret in"),
        ("binary", "it is not UTF-8 text"),
        ("long", "the limit is 65536"),
        ("linked", "it has other names (hard links)"),
        ("loop", "cannot be read"),
    ] {
        let error = SecretFile::lock(&at(name)).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(name) && !error.contains("of-a-test"), "{name}: {error}");
    }
}

#[test]
fn a_secret_is_never_shown() {
    let (_folder, path) = folder_with("secret-of-a-test");
    let file = SecretFile::lock(&path).unwrap();
    assert!(!format!("{file:?}").contains("secret-of-a-test"));
    let secret: SecretString = SecretFile::read(&path).unwrap();
    assert!(!format!("{secret:?}").contains("secret-of-a-test"));
}
