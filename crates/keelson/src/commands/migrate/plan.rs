//! `keelson migrate plan`: the SQL of what is pending.

use backends::migrations::{MigrationState, Progress, plan};
use secrecy::ExposeSecret;

use super::show;
use crate::failure::Failure;
use crate::output::print;
use crate::wire::Tables;

/// Prints statements in the order in which `up` would execute them; nothing where it would execute none.
pub(super) async fn run(tables: &[Tables]) -> Result<(), Failure> {
    let mut scripts = Vec::new();
    for Tables { migrations, url } in tables {
        let states = plan(migrations, url.expose_secret()).await?;
        scripts.extend(states.iter().filter_map(script));
    }
    print(&scripts.join("\n"));
    Ok(())
}

fn script(state: &MigrationState) -> Option<String> {
    let Progress::Pending(sql) = state.progress else { return None };
    Some(format!("-- {}, {}\n{}\n", state.service, show::file(state), sql.trim_end()))
}
