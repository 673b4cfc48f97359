//! Where users, orders and events are kept.

use std::fmt;

use chassis::config::{OptionalSetting, Reader};

use super::postgres::{self, PostgresPlace};

pub(super) const DATABASE_URL: OptionalSetting<String> = OptionalSetting::new(
    "DATABASE_URL",
    "The database of users and orders, each with tables of its own: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` which many processes may share (`postgres:` alone: see `POSTGRES_HOST`), or `memory:` which forgets at the end. Default: that of `POSTGRES_HOST` where it is set, else `keelson.db` in the data folder.",
);

pub(super) const EVENTS_URL: OptionalSetting<String> = OptionalSetting::new(
    "EVENTS_URL",
    "The database of events: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` which many processes may share (`postgres:` alone: see `POSTGRES_HOST`), or `memory:` which forgets at the end. Default: `events.db` in the data folder.",
);

/// One database.
#[derive(Clone)]
pub(crate) struct Database {
    /// Its URL.
    pub(crate) url: String,
    /// Where it is when the URL does not say more than `postgres:`.
    pub(crate) place: Option<PostgresPlace>,
}

impl fmt::Debug for Database {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("Database").field("scheme", &scheme).field("place", &self.place).finish_non_exhaustive()
    }
}

impl Database {
    pub(super) fn new(url: String, place: &PostgresPlace) -> Self {
        let place = (url == postgres::HERE).then(|| place.clone());
        Self { url, place }
    }

    /// The database of users and orders. The seeds name a server and mean this.
    pub(super) fn of_records(reader: &mut Reader<'_>, place: &PostgresPlace, default: String) -> Self {
        let seeds = || postgres::names_a_server(reader).then(|| postgres::HERE.to_owned());
        let default = seeds().unwrap_or(default);
        Self::new(reader.get_optional(&DATABASE_URL).unwrap_or(default), place)
    }

    /// The database of events.
    pub(super) fn of_events(reader: &mut Reader<'_>, place: &PostgresPlace, default: String) -> Self {
        Self::new(reader.get_optional(&EVENTS_URL).unwrap_or(default), place)
    }

    /// Refuses a server that nobody would ask: this database and the queue are elsewhere.
    pub(super) fn refuse_unused_server(&self, reader: &mut Reader<'_>, queue_url: &str) {
        let is_postgres = |url: &str| url.starts_with("postgres");
        if postgres::names_a_server(reader) && !is_postgres(&self.url) && !is_postgres(queue_url) {
            let url = reader.found(&DATABASE_URL.info);
            postgres::refuse_server(reader, &format!("it unset, or {url} unset: one of the two is not used"));
        }
    }
}
