//! Stores of services in SQL databases.
//!
//! A store is written once (`users`, `orders`, `analytics`), in statements and plain values (`database`, `value`). What a
//! database makes of the calls of many is its own matter: one statement on PostgreSQL (`postgres`), one transaction on SQLite (`sqlite`).

mod analytics;
mod answers;
mod database;
mod error;
mod orders;
mod outbox;
mod postgres;
pub(crate) mod sqlite;
mod store;
mod users;
mod value;

pub use analytics::ANALYTICS;
pub(crate) use analytics::SqlEvents;
pub(crate) use database::{Database, Statement};
pub(crate) use error::SqlError;
pub use orders::ORDERS;
pub(crate) use orders::SqlOrders;
pub(crate) use postgres::PostgresDatabase;
pub use sqlite::SqliteFiles;
pub(crate) use users::SqlUsers;
pub use users::USERS;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::migrations::{Migration, Migrations};

    const SERVICES: [&Migrations; 3] = [&USERS, &ORDERS, &ANALYTICS];

    #[test]
    fn the_migrations_are_those_of_the_folders() {
        for service in SERVICES {
            let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(service.service);
            for (folder, known) in [("sqlite", service.sqlite), ("postgres", service.postgres)] {
                let files = all.join(folder).read_dir().unwrap().map(|file| file.unwrap().file_name());
                let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
                files.sort();
                let names: Vec<_> = known.iter().map(|it| format!("{:04}_{}.sql", it.version, it.name)).collect();
                assert_eq!(names, files, "a file that is not listed would never be made");
            }
        }
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        let names = |known: &'static [Migration]| known.iter().map(|it| (it.version, it.name)).collect::<Vec<_>>();
        for service in SERVICES {
            assert_eq!(names(service.sqlite), names(service.postgres));
        }
    }

    /// All of them may lie in one database, and one file has no schemas.
    #[test]
    fn services_share_no_name() {
        for (number, one) in SERVICES.iter().enumerate() {
            for other in &SERVICES[number + 1..] {
                assert_ne!(one.schema, other.schema);
                assert_ne!(one.history, other.history);
                assert_ne!(one.lock, other.lock);
            }
        }
    }
}
