//! `keelson keys` on files that are no rings, or that cannot be changed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use serde_json::json;

use crate::disks::Disks;
use crate::keys::{RANDOM_KEY, done, ids, keys, refused, with_ring};
use crate::launch::Launch;
use crate::migrate::contents;

const SECRET: &str = "secret-of-a-test";

#[test]
fn what_is_no_ring_is_refused_by_name_and_left_as_it_is() {
    let launch = Launch::new(&[]);
    let write = |name: &str, text: &str| fs::write(launch.path(name), text).unwrap();
    let nine: serde_json::Map<_, _> = (0..9).map(|key| (format!("k{key}"), json!(format!("{SECRET}{key}")))).collect();
    write("damaged", &format!("{{\"k1\": \"{SECRET}\""));
    write("nine", &serde_json::to_string(&nine).unwrap());
    write("twice", &format!("{{\"k1\": \"{SECRET}\", \"k1\": \"b\"}}"));
    write("exchanged", &format!("{{\"{RANDOM_KEY}\": \"k1\"}}"));
    write("empty", "");
    fs::write(launch.path("binary"), [b'{', 0xff]).unwrap();
    fs::create_dir(launch.path("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(launch.path("pipe")).status().unwrap().success());
    symlink("nowhere", launch.path("dangling")).unwrap();
    let files = ["damaged", "nine", "twice", "exchanged", "empty", "binary"];
    let before = files.map(|file| fs::read(launch.path(file)).unwrap());
    for (file, expected) in [
        ("damaged", "a JSON object that is damaged"),
        ("nine", "found 9 keys"),
        ("twice", "the same id"),
        ("exchanged", "an id of key 1"),
        ("empty", "there is no secret in"),
        ("binary", "it is not UTF-8 text"),
        ("folder", "it is not a plain file"),
        ("pipe", "it is not a plain file"),
        ("dangling", "there is no secret in"),
        ("nothing", "there is no secret in"),
    ] {
        for command in ["rotate", "list"] {
            let text = refused(&launch, &[command, file], 64);
            assert!(text.contains(expected) && text.contains(file), "{command} {file}: {text}");
            assert!(!text.contains(SECRET) && !text.contains("AAECAw"), "{text}");
        }
    }
    assert_eq!(files.map(|file| fs::read(launch.path(file)).unwrap()), before);
}

#[test]
fn a_ring_whose_next_step_is_not_known_is_left_to_its_owner() {
    let launch = Launch::new(&[]);
    for (ring, expected) in [
        (format!("{{\"2026-07\": \"{RANDOM_KEY}\", \"2026-01\": \"{SECRET}\"}}"), "do not say which"),
        (format!("{{\"a\": \"{SECRET}\", \"b\": \"x\", \"c\": \"y\"}}"), "the ring has 3 keys, a, b, c, and"),
    ] {
        fs::write(launch.path("ring"), &ring).unwrap();
        for args in [&["rotate", "ring"][..], &["rotate", "ring", "--wait", "15s"], &["rotate", "ring", "--print"]] {
            let text = refused(&launch, args, 1);
            assert!(text.contains(expected) && !text.contains(SECRET), "{args:?}: {text}");
        }
        assert!(done(&launch, &["list", "ring"]).contains("next: by hand: "));
        assert_eq!(fs::read_to_string(launch.path("ring")).unwrap(), ring);
    }
}

#[test]
fn wrong_usage_is_told_before_anything_is_done() {
    let (launch, path) = with_ring(RANDOM_KEY);
    for args in [
        &["rotate", "--wait", "soon"][..],
        &["rotate", "--wait", "0s"],
        &["rotate", "--wait", "2d"],
        &["rotate", "--wait", "15s", "--print"],
        &["rotate", "-", "--wait", "15s"],
        &["rotate", "one", "two"],
    ] {
        assert!(refused(&launch, args, 64).starts_with("error:"), "{args:?}");
    }
    assert_eq!(fs::read_to_string(path).unwrap(), RANDOM_KEY);
    let text = refused(&Launch::new(&[]), &["rotate"], 64);
    assert!(text.contains("secrets/encryption_key; `keelson keys generate` prints one"), "{text}");
}

#[test]
fn keys_that_others_can_read_are_warned_of() {
    let (launch, path) = with_ring(RANDOM_KEY);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let rotated = keys(&launch, &["rotate"], "");
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    assert!(rotated.stderr.starts_with("warning: others on this machine can read the keys, run `chmod 600"));
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o644, "services may need it");
}

/// As Kubernetes mounts a secret: links, on a disk that nobody can write.
#[test]
fn a_mount_that_is_read_only_is_said_to_be_one_and_its_next_ring_is_printed() {
    let launch = Launch::new(&[]);
    let mount = launch.path("mount");
    fs::create_dir_all(mount.join("..2026")).unwrap();
    fs::write(mount.join("..2026/key"), RANDOM_KEY).unwrap();
    symlink("..2026", mount.join("..data")).unwrap();
    symlink("..data/key", mount.join("key")).unwrap();
    let before = contents(&mount);
    let Some(disks) = Disks::read_only(&launch, "mount") else { return };
    let inside = disks.launch(launch.clone());
    // The disks are elsewhere for who only enters the folder.
    let key = mount.join("key").display().to_string();
    let text = refused(&inside, &["rotate", &key], 69);
    assert!(text.contains("cannot be written: ") && text.contains("Secret of Kubernetes"), "{text}");
    assert!(text.contains("with --print this command prints the next ring"), "{text}");
    let printed = keys(&inside, &["rotate", &key, "--print"], "");
    assert_eq!((printed.code, ids(&printed.stdout).len()), (Some(0), 2), "{printed:?}");
    assert_eq!(contents(&mount), before);
}

#[test]
fn a_full_disk_costs_no_key() {
    let launch = Launch::new(&[]);
    let Some(disks) = Disks::mount(&launch, &[("disk", "size=64k")]) else { return };
    let key = launch.path("disk/key").display().to_string();
    let inside = disks.launch(launch);
    let path = disks.path("disk/key");
    fs::write(&path, RANDOM_KEY).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    disks.fill("disk");
    let text = refused(&inside, &["rotate", &key], 69);
    assert!(text.contains("cannot be written: ") && text.contains("it is as it was"), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), RANDOM_KEY);
    disks.free("disk");
    let left: Vec<_> = fs::read_dir(disks.path("disk")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["key"], "a part of a ring is left");
    done(&inside, &["rotate", &key]);
    assert_eq!(ids(&fs::read_to_string(&path).unwrap()).len(), 2);
}
