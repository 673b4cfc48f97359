//! `keelson migrate`: the migrations of services in the database that the settings name, and the files of a new one.

mod new;
mod plan;
mod show;
mod status;
mod up;

use crate::cli::{Common, ListenArgs, MigrateArgs, MigrateCommand, MigratedServices};
use crate::failure::Failure;
use crate::settings::{self, Mode, Settings};
use crate::wire::{self, Tables};

/// Lists, plans, applies, or makes the files of a new one.
pub(crate) async fn run(common: &Common, args: &MigrateArgs) -> Result<(), Failure> {
    match &args.command {
        MigrateCommand::Status { services, json } => status::run(&find(common, services).await?.tables, *json).await,
        MigrateCommand::Plan(services) => plan::run(&find(common, services).await?.tables).await,
        MigrateCommand::Up { services, json } => up::run(&find(common, services).await?, *json).await,
        MigrateCommand::New { service, name } => new::run(*service, name),
    }
}

/// The tables of the chosen services.
struct Found {
    settings: Settings,
    tables: Vec<Tables>,
}

async fn find(common: &Common, services: &MigratedServices) -> Result<Found, Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let chosen = services.chosen();
    let named: Vec<_> = chosen.iter().map(|&service| service.into()).collect();
    let settings = Settings::read(&layers, Mode::Up, &named)?;
    let mut tables = Vec::new();
    for service in chosen {
        tables.extend(wire::tables(&settings, service).await?);
    }
    Ok(Found { settings, tables })
}
