//! `keelson migrate new` in a folder that looks like a checkout, and elsewhere.

use std::fs;

use crate::launch::{BINARY, Launch};
use crate::migrate::{contents, done, refused};

const KINDS: [&str; 2] = ["sqlite", "postgres"];

/// A folder that looks like a checkout, with one migration.
fn checkout() -> Launch {
    let launch = Launch::new(&[]);
    for kind in KINDS {
        let folder = launch.path("crates/backends/migrations/users").join(kind);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0001_create_users.sql"), "CREATE TABLE users (a int);\n").unwrap();
    }
    launch
}

#[test]
fn a_new_migration_is_the_next_pair_of_files_and_says_what_else_is_to_be_edited() {
    let launch = checkout();
    let folder = |kind| launch.path("crates/backends/migrations/users").join(kind);
    // One that was begun for one kind of database alone has its number too.
    fs::write(folder("postgres").join("0002_begun.sql"), "").unwrap();
    let below = launch.clone().program(&["/bin/sh", "-c", "cd crates/backends && exec \"$0\" \"$@\"", BINARY]);
    let text = done(&below, &["new", "users", "add_photo"]);
    for kind in KINDS {
        let file = folder(kind).join("0003_add_photo.sql");
        let content = fs::read_to_string(&file).unwrap();
        assert!(content.contains("expand first") && content.contains("never changed"), "{content}");
        assert!(content.lines().all(|line| line.starts_with("--")), "it has statements: {content}");
        assert!(text.contains(&file.display().to_string()), "{text}");
        let line = format!("include_str!(\"../../../migrations/users/{kind}/0003_add_photo.sql\")");
        assert!(text.contains(&line) && text.contains("version: 3,"), "{text}");
    }
    assert!(text.contains("crates/backends/src/sql/users/mod.rs"), "{text}");
}

#[test]
fn a_new_migration_overwrites_nothing_and_is_made_in_a_checkout_alone() {
    let launch = checkout();
    let before = contents(&launch.path("crates"));
    let text = refused(&launch, &["new", "users", "create_users"], 64);
    assert!(text.contains("0001_create_users.sql is there already"), "{text}");
    for name in ["AddPhoto", "add-photo", "../add", "add__photo", "2_photos", ""] {
        let text = refused(&launch, &["new", "users", name], 64);
        assert!(text.contains("lower_snake_case"), "{name}: {text}");
    }
    assert_eq!(contents(&launch.path("crates")), before);

    let elsewhere = Launch::new(&[]);
    let text = refused(&elsewhere, &["new", "users", "add_photo"], 64);
    assert!(text.contains("is not in a checkout of Keelson"), "{text}");
    assert!(!elsewhere.path("crates").exists());
}
