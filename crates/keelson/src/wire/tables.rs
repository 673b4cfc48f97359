//! The tables of services, as migrations find them.

use backends::local::{DataFolder, FolderError};
use backends::migrations::Migrations;
use backends::{ANALYTICS, ORDERS, USERS, is_documents, is_local};
use secrecy::{ExposeSecret, SecretString};

use super::whole_url;
use crate::cli::MigratedService;
use crate::failure::Failure;
use crate::settings::Settings;

/// The tables of a service.
pub(crate) struct Tables {
    pub(crate) migrations: &'static Migrations,
    /// The whole URL of their database.
    pub(crate) url: SecretString,
}

/// Where the settings say that the tables of a service are; `None` where it keeps documents, which have no migrations.
pub(crate) async fn tables(settings: &Settings, service: MigratedService) -> Result<Option<Tables>, Failure> {
    let (migrations, database) = match service {
        MigratedService::Users => (&USERS, &settings.records),
        MigratedService::Orders => (&ORDERS, &settings.records),
        MigratedService::Analytics => (&ANALYTICS, &settings.events),
    };
    if service == MigratedService::Analytics && is_documents(&database.url) {
        return Ok(None);
    }
    Ok(Some(Tables { migrations, url: whole_url(settings, database).await? }))
}

/// Owns the data folder where the tables lie in a file, as their service would: whoever changes them keeps all others from
/// writing, and a system that runs would refuse its callers meanwhile.
pub(crate) fn own_folder(settings: &Settings, tables: &Tables) -> Result<Option<DataFolder>, FolderError> {
    is_local(tables.url.expose_secret()).then(|| DataFolder::lock(&settings.data)).transpose()
}
