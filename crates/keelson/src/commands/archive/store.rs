//! Where the archive is.

use backends::{ObjectPlace, open_objects};
use chassis::clock::{Clock, SystemClock};
use chassis::config::Layers;
use chassis::telemetry::storage::StorageFailures;
use jiff::civil::Date;
use pipeline::archive::Archive;
use pipeline::config::RetentionConfig;
use pipeline::model::record::day_of;

use crate::cli::{Common, ListenArgs};
use crate::failure::Failure;
use crate::run_file::RunFile;
use crate::settings::{self, Mode, Settings};
use crate::wire::object_context;

/// An open archive.
pub(super) struct Store {
    pub(super) archive: Archive,
    pub(super) today: Date,
    /// What it is by its URL.
    pub(super) url: String,
    /// `ARCHIVE_RETENTION`.
    pub(super) retention: Option<RetentionConfig>,
}

/// What the settings name, else what the system on the data folder uses, else what one would.
pub(super) async fn open(common: &Common) -> Result<Store, Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let settings = Settings::read(&layers, Mode::Up, &[])?;
    let url = match is_named(&layers) {
        true => None,
        false => RunFile::look(&settings.data)?.map(|running| running.objects_url),
    };
    let url = url.unwrap_or_else(|| settings.objects_url.clone());
    check(&url)?;
    let objects = open_objects(&url, object_context(&settings, &StorageFailures::default())).await?;
    let retention = settings.archiver.retention;
    Ok(Store { archive: Archive::new(objects), today: day_of(SystemClock.now()), url, retention })
}

fn is_named(layers: &Layers) -> bool {
    ["OBJECTS_URL", "S3_BUCKET_NAME"].iter().any(|name| layers.find(name).is_some())
}

/// A mistaken folder must not be made.
fn check(url: &str) -> Result<(), Failure> {
    match ObjectPlace::of(url)? {
        ObjectPlace::Memory => Err(Failure::usage("objects are kept in memory, where nobody else can look")),
        ObjectPlace::Folder(path) if !path.is_dir() => Err(Failure::unavailable(format!(
            "there is no archive in {}: name the data folder with --data, or the store with OBJECTS_URL or S3_BUCKET_NAME",
            path.display()
        ))),
        ObjectPlace::Folder(_) | ObjectPlace::Bucket { .. } => Ok(()),
    }
}
