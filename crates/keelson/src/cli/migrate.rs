//! Flags of `keelson migrate`.

use clap::{Args, Subcommand, ValueEnum};

use super::ServiceName;

pub(super) const HELP: &str = "\
Migrations make the tables of a service, and change them. A service applies those that are pending
when it starts. This applies them before: in a deploy pipeline, or as a user of the database who may
make tables where that of the services may not. It is the database that the settings name
(DATABASE_URL, POSTGRES_HOST, --data). Each migration is one transaction, and works while services
of the version before still run.

Examples:
  keelson migrate status                          what was applied, and when
  keelson migrate plan users | less               the SQL that `up` would execute
  keelson migrate up
  keelson migrate status || keelson migrate up
  DATABASE_URL=postgres://owner@db/keelson keelson migrate up
  keelson migrate new users add_photo             the next pair of files, for developers of Keelson

Exit codes: 0 done, and nothing is pending, 1 `status` alone: something is pending, 64 wrong usage
or configuration, 69 the database cannot be used, or another process has the data folder, 130
interrupted.";

#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    #[command(subcommand)]
    pub(crate) command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// List migrations, and end with 1 when one is pending; changes nothing
    Status {
        #[command(flatten)]
        services: MigratedServices,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the SQL of what is pending; changes nothing
    ///
    /// For PostgreSQL it is executed in the schema of the service. `up` also notes what it applied, in the same
    /// transaction, so that it is not applied again.
    Plan(MigratedServices),
    /// Apply what is pending
    ///
    /// Many may do so at once: one of them applies it, the others wait for that. What one left that was killed is undone.
    Up {
        #[command(flatten)]
        services: MigratedServices,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the files of the next migration in a checkout of Keelson, one for each kind of database
    New {
        /// Whose tables it changes
        service: MigratedService,
        /// What it does, such as add_photo
        #[arg(value_parser = migration_name)]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MigratedServices {
    /// The services whose tables are meant [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<MigratedService>,
}

/// The services that have migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MigratedService {
    /// Accounts
    Users,
    /// Orders
    Orders,
    /// Events
    Analytics,
}

impl MigratedServices {
    /// Each once, in the order in which they are shown.
    pub(crate) fn chosen(&self) -> Vec<MigratedService> {
        let is_chosen = |service: &&MigratedService| self.services.is_empty() || self.services.contains(service);
        MigratedService::value_variants().iter().filter(is_chosen).copied().collect()
    }
}

impl MigratedService {
    /// As its folders are named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Orders => "orders",
            Self::Analytics => "analytics",
        }
    }
}

impl From<MigratedService> for ServiceName {
    fn from(service: MigratedService) -> Self {
        match service {
            MigratedService::Users => Self::Users,
            MigratedService::Orders => Self::Orders,
            MigratedService::Analytics => Self::Analytics,
        }
    }
}

/// Longer is no name but a story.
const LONGEST_NAME: usize = 60;

fn migration_name(text: &str) -> Result<String, String> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
    };
    let starts_well = text.starts_with(|letter: char| letter.is_ascii_lowercase());
    match text.len() <= LONGEST_NAME && starts_well && text.split('_').all(is_word) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected lower_snake_case of at most {LONGEST_NAME} letters, such as `add_photo`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_migration_is_lower_snake_case() {
        for name in ["add_photo", "add_2_photos", "a", &"a".repeat(60)] {
            assert_eq!(migration_name(name).as_deref(), Ok(name));
        }
        for name in ["", "Add", "add-photo", "add photo", "_add", "add_", "add__photo", "2_photos", "../x", "ä"] {
            assert!(migration_name(name).is_err(), "{name}");
        }
        assert!(migration_name(&"a".repeat(61)).is_err());
    }
}
