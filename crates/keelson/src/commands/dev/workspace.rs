//! The cargo workspace around the current folder.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use crate::failure::Failure;

/// The package that is built.
pub(super) const PACKAGE: &str = "keelson";

/// Where the sources are, and where cargo builds.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) root: PathBuf,
    pub(super) target: PathBuf,
    /// The folders of its packages.
    pub(super) packages: Vec<PathBuf>,
}

/// What `cargo metadata` prints, as far as it is needed.
#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

impl Workspace {
    /// Asks cargo. With `builds_package` the workspace must have the package.
    pub(super) async fn find(builds_package: bool) -> Result<Self, Failure> {
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]).stdin(Stdio::null()).kill_on_drop(true);
        let output = cargo.output().await.map_err(|error| no_cargo(&error))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let text = text.trim().trim_start_matches("error: ");
            return Err(Failure::usage(format!(
                "`keelson dev` builds the cargo workspace around the current folder, and cargo finds none: {text}"
            )));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::failed(format!("`cargo metadata` cannot be read: {error}")))?;
        let root = resolved(metadata.workspace_root);
        if builds_package && !metadata.packages.iter().any(|package| package.name == PACKAGE) {
            return Err(Failure::usage(format!(
                "the workspace {} has no package `{PACKAGE}`: expected the sources of this program, or --build and --executable",
                root.display()
            )));
        }
        let folder = |package: Package| package.manifest_path.parent().map(|folder| resolved(folder.to_owned()));
        let packages = metadata.packages.into_iter().filter_map(folder).collect();
        Ok(Self { root, target: resolved(metadata.target_directory), packages })
    }
}

/// Without symbolic links, as some systems name what has changed.
pub(super) fn resolved(path: PathBuf) -> PathBuf {
    std::fs::canonicalize(&path).or_else(|_missing| std::path::absolute(&path)).unwrap_or(path)
}

/// Why cargo cannot be run.
pub(super) fn no_cargo(error: &io::Error) -> Failure {
    Failure::unavailable(match error.kind() {
        io::ErrorKind::NotFound => "`keelson dev` builds with cargo, and there is none in PATH: install Rust from https://rustup.rs; `keelson up` runs without sources".to_owned(),
        _ => format!("cargo cannot be run: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_path_of_something_that_is_not_there_yet_is_absolute() {
        assert!(resolved("not-there/at-all".into()).is_absolute());
        assert!(resolved(Path::new(".").to_owned()).is_dir());
    }
}
