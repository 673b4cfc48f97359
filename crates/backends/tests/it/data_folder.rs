//! The lock on the data folder.

use backends::local::{DataFolder, FolderError};

#[test]
fn the_folder_is_created_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/data");
    let data = DataFolder::lock(&path).unwrap();
    assert_eq!(data.path(), path);
    assert_eq!(std::fs::read_to_string(path.join("lock")).unwrap().trim(), std::process::id().to_string());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_second_lock_is_refused_and_names_folder_holder_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let _first = DataFolder::lock(folder.path()).unwrap();
    let error = DataFolder::lock(folder.path()).unwrap_err();
    assert!(matches!(error, FolderError::InUse { .. }));
    let text = error.to_string();
    for part in [folder.path().to_str().unwrap(), &format!("process {}", std::process::id()), "--data", "stop it"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains('\n'));
}

#[test]
fn a_dropped_lock_is_free_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(DataFolder::lock(folder.path()).unwrap());
    DataFolder::lock(folder.path()).unwrap();
}

#[test]
fn a_lock_file_left_by_a_dead_process_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lock"), "4194304999999").unwrap();
    DataFolder::lock(folder.path()).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("lock")).unwrap().trim(), std::process::id().to_string());
}

#[test]
fn half_made_secrets_of_a_dead_process_are_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    let kept = [".api_token", ".api_token.bak", ".api_token.old-1", "api_token", "api_token.1-1"];
    for name in kept.into_iter().chain([".api_token.4711-0"]) {
        std::fs::write(secrets.join(name), "x").unwrap();
    }
    DataFolder::lock(folder.path()).unwrap();
    let mut left: Vec<_> = secrets.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, kept);
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, "x").unwrap();
    let text = DataFolder::lock(&path).unwrap_err().to_string();
    assert!(text.contains("is not a folder") && text.contains(path.to_str().unwrap()), "{text}");
    let text = DataFolder::lock(path.join("below")).unwrap_err().to_string();
    assert!(text.contains("cannot be written") && text.contains("--data"), "{text}");
}
