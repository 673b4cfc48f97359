//! `keelson migrate up`: applies what is pending.

use std::time::Duration;

use backends::local::FolderError;
use backends::migrations::{MigrationState, apply, plan};
use chassis::clock::SystemClock;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Found;
use super::show::{self, counted};
use crate::commands::process::install_logs;
use crate::failure::Failure;
use crate::output::print_line;
use crate::settings::{Mode, Settings};
use crate::wire::{self, Tables};

/// How long another one may have the data folder, which may be about to apply the same.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Applies what is pending, and says what that was.
pub(super) async fn run(found: &Found, as_json: bool) -> Result<(), Failure> {
    // Tells, where a service would, what waits for whom, and what was applied before one that failed.
    let logs = install_logs(&found.settings, Mode::Up, &[])?;
    let applied = apply_all(found).await;
    logs.close();
    let applied = applied?;
    if as_json {
        let shown: Vec<_> = applied.iter().map(show::to_json).collect();
        print_line(&json!({ "applied": shown }).to_string());
        return Ok(());
    }
    for state in &applied {
        print_line(&format!("{}: applied {}", state.service, show::file(state)));
    }
    match applied.len() {
        0 => print_line("nothing is pending"),
        count => print_line(&format!("{} applied", counted(count))),
    }
    Ok(())
}

async fn apply_all(found: &Found) -> Result<Vec<MigrationState>, Failure> {
    let mut applied = Vec::new();
    for tables in &found.tables {
        applied.extend(apply_pending(&found.settings, tables).await?);
    }
    Ok(applied)
}

/// Looks before it takes the folder: beside a system that runs there is mostly nothing to do.
async fn apply_pending(settings: &Settings, tables: &Tables) -> Result<Vec<MigrationState>, Failure> {
    let (migrations, url) = (tables.migrations, tables.url.expose_secret());
    let begun = Instant::now();
    loop {
        if plan(migrations, url).await?.is_empty() {
            return Ok(Vec::new());
        }
        match wire::own_folder(settings, tables) {
            Ok(_folder) => return Ok(apply(migrations, url, &SystemClock).await?),
            Err(FolderError::InUse { .. }) if begun.elapsed() < PATIENCE => sleep(PAUSE).await,
            Err(error @ FolderError::InUse { .. }) => {
                let start = "; or start this version in its place, which applies them";
                return Err(Failure::from(error).with(start));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
