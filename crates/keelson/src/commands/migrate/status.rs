//! `keelson migrate status`: what was applied and what is pending.

use backends::migrations::{Progress, status};
use secrecy::ExposeSecret;
use serde_json::json;

use super::show::{self, counted};
use crate::failure::Failure;
use crate::output::{print, print_line};
use crate::wire::Tables;

/// Lists migrations; fails when one is pending, so that a script can ask.
pub(super) async fn run(tables: &[Tables], as_json: bool) -> Result<(), Failure> {
    let mut states = Vec::new();
    for Tables { migrations, url } in tables {
        states.extend(status(migrations, url.expose_secret()).await?);
    }
    let pending = states.iter().filter(|state| matches!(state.progress, Progress::Pending(_))).count();
    if as_json {
        let shown: Vec<_> = states.iter().map(show::to_json).collect();
        print_line(&json!({ "pending": pending, "migrations": shown }).to_string());
    } else if states.is_empty() {
        print_line("no migrations: what is kept in memory or as documents has no tables");
    } else {
        print(&show::table(&states));
    }
    match pending {
        0 => Ok(()),
        1 => Err(Failure::failed("1 migration is pending; `keelson migrate up` applies it, as does a start")),
        more => {
            let more = counted(more);
            Err(Failure::failed(format!("{more} are pending; `keelson migrate up` applies them, as does a start")))
        }
    }
}
