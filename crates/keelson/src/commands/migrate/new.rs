//! `keelson migrate new`: the files of the next migration, in a checkout of Keelson.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::MigratedService;
use crate::failure::Failure;
use crate::output::print;

/// Where migrations lie below the root of a checkout.
const MIGRATIONS: &str = "crates/backends/migrations";
/// A folder for each kind of database.
const KINDS: [&str; 2] = ["sqlite", "postgres"];

/// What a new file says.
const TEMPLATE: &str = "\
-- What changes, and why.
--
-- Processes of the version before work with these tables while this is applied, and after it. So expand first: add tables,
-- indexes, and columns that may be NULL or have a default. Contract a version later: take away what nothing uses any more.
-- All of it is one transaction. Once it is published it is never changed; a change of it is the next migration.
";

/// Makes the files, and says what else is to be edited.
pub(super) fn run(service: MigratedService, name: &str) -> Result<(), Failure> {
    let here =
        std::path::absolute(".").map_err(|error| Failure::unavailable(format!("the working folder: {error}")))?;
    let made = make(&here, service.name(), name)?;
    print(&made.told());
    Ok(())
}

/// A pair of files.
#[derive(Debug)]
struct Made {
    service: &'static str,
    version: u32,
    name: String,
    files: Vec<PathBuf>,
}

impl Made {
    fn told(&self) -> String {
        let Self { service, version, name, files } = self;
        let mut text: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
        text.push_str(&format!("\nAdd both to the lists of crates/backends/src/sql/{service}/mod.rs:\n"));
        for kind in KINDS {
            text.push_str(&format!(
                "\n    {kind}:\n    Migration {{\n        version: {version},\n        name: \"{name}\",\n        \
                 sql: include_str!(\"../../../migrations/{service}/{kind}/{version:04}_{name}.sql\"),\n    }},\n"
            ));
        }
        text
    }
}

fn make(here: &Path, service: &'static str, name: &str) -> Result<Made, Failure> {
    let folders = find_folders(here, service)?;
    let mut version = 1;
    for folder in &folders {
        version = version.max(next_version(folder, name)?);
    }
    let mut files = Vec::new();
    for folder in folders {
        let path = folder.join(format!("{version:04}_{name}.sql"));
        if let Err(error) = write_new(&path) {
            // One without the other would take the number.
            for file in files {
                let _gone = fs::remove_file(file);
            }
            return Err(unusable(&path, &error));
        }
        files.push(path);
    }
    Ok(Made { service, version, name: name.to_owned(), files })
}

/// The folders of the service in the checkout around this one.
fn find_folders(here: &Path, service: &str) -> Result<[PathBuf; 2], Failure> {
    let folders = |root: &Path| KINDS.map(|kind| root.join(MIGRATIONS).join(service).join(kind));
    let found = here.ancestors().map(folders).find(|folders| folders.iter().all(|folder| folder.is_dir()));
    found.ok_or_else(|| {
        Failure::usage(format!(
            "{} is not in a checkout of Keelson, which has {MIGRATIONS}/{service}/{{sqlite,postgres}}: go there first",
            here.display()
        ))
    })
}

/// The number after those that are there.
fn next_version(folder: &Path, name: &str) -> Result<u32, Failure> {
    let mut last = 0;
    for entry in fs::read_dir(folder).map_err(|error| unusable(folder, &error))? {
        let path = entry.map_err(|error| unusable(folder, &error))?.path();
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let Some((number, known)) = stem.split_once('_') else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        if known == name {
            return Err(Failure::usage(format!("{} is there already: choose another name", path.display())));
        }
        last = last.max(number);
    }
    Ok(last + 1)
}

fn write_new(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(TEMPLATE.as_bytes())
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::unavailable(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn what_it_says_is_where_the_migrations_of_this_checkout_are() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        for service in MigratedService::value_variants() {
            let name = service.name();
            let folders = find_folders(here, name).unwrap();
            let version = next_version(&folders[0], "unheard_of").unwrap();
            assert_eq!(version, next_version(&folders[1], "unheard_of").unwrap(), "{name}");
            let list = here.join(format!("../backends/src/sql/{name}/mod.rs"));
            let list = fs::read_to_string(list).unwrap();
            for kind in KINDS {
                let line = format!("include_str!(\"../../../migrations/{name}/{kind}/{:04}_", version - 1);
                assert!(list.contains(&line), "{line}");
            }
        }
    }
}
