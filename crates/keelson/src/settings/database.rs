//! Where users are kept.

use chassis::config::{OptionalSetting, Reader};

use super::postgres::{self, PostgresPlace};

pub(super) const DATABASE_URL: OptionalSetting<String> = OptionalSetting::new(
    "DATABASE_URL",
    "The database of users: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` which many processes may share (`postgres:` alone: see `POSTGRES_HOST`), or `memory:` which forgets at the end. Default: that of `POSTGRES_HOST` where it is set, else `keelson.db` in the data folder.",
);

/// One database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// Its URL.
    pub(crate) url: String,
    /// Where it is when the URL does not say more than `postgres:`.
    pub(crate) place: Option<PostgresPlace>,
}

impl Database {
    pub(super) fn new(url: String, place: &PostgresPlace) -> Self {
        let place = (url == postgres::HERE).then(|| place.clone());
        Self { url, place }
    }

    /// The database of users. The seeds name a server and mean this.
    pub(super) fn of_users(reader: &mut Reader<'_>, place: &PostgresPlace, default: String) -> Self {
        let seeds = || postgres::names_a_server(reader).then(|| postgres::HERE.to_owned());
        let default = seeds().unwrap_or(default);
        Self::new(reader.get_optional(&DATABASE_URL).unwrap_or(default), place)
    }
}
