//! Where users, orders and events are kept.

use std::fmt;

use chassis::config::{OptionalSetting, Reader, SettingInfo};

use super::server::{ServerPlace, ServerSettings};
use super::{mongo, postgres};

pub(super) const DATABASE_URL: OptionalSetting<String> = OptionalSetting::new(
    "DATABASE_URL",
    "The database of users and orders, each with tables of its own: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` which many processes may share (`postgres:` alone: see `POSTGRES_HOST`), or `memory:` which forgets at the end. Default: that of `POSTGRES_HOST` where it is set, else `keelson.db` in the data folder.",
);

pub(super) const EVENTS_URL: OptionalSetting<String> = OptionalSetting::new(
    "EVENTS_URL",
    "The database of events: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` which many processes may share (`postgres:` alone: see `POSTGRES_HOST`), `mongodb://USER:PASSWORD@HOST:PORT/DATABASE` or `mongodb+srv://…` likewise (`mongodb:` alone: see `MONGODB_HOST`), or `memory:` which forgets at the end. Default: that of `MONGODB_HOST` where it is set, else `events.db` in the data folder.",
);

/// One database.
#[derive(Clone)]
pub(crate) struct Database {
    /// Its URL.
    pub(crate) url: String,
    /// Where it is when the URL does not say more than `postgres:` or `mongodb:`.
    pub(crate) place: Option<ServerPlace>,
}

impl fmt::Debug for Database {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("Database").field("scheme", &scheme).field("place", &self.place).finish_non_exhaustive()
    }
}

/// The servers that the seeds' names lead to.
#[derive(Debug)]
pub(super) struct Servers {
    postgres: ServerPlace,
    mongo: ServerPlace,
}

impl Servers {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            postgres: ServerPlace::read(&postgres::SERVER, reader),
            mongo: ServerPlace::read(&mongo::SERVER, reader),
        }
    }

    /// The database of a URL.
    pub(super) fn database(&self, url: String) -> Database {
        let place = [&self.postgres, &self.mongo].into_iter().find(|place| place.is_meant_by(&url)).cloned();
        Database { url, place }
    }

    /// The database of users and orders. The seeds name a server and mean this.
    pub(super) fn records(&self, reader: &mut Reader<'_>, default: String) -> Database {
        self.default_or_seeds(reader, (&DATABASE_URL, &postgres::SERVER), default)
    }

    /// The database of events. Here the seeds name a server of MongoDB.
    pub(super) fn events(&self, reader: &mut Reader<'_>, default: String) -> Database {
        self.default_or_seeds(reader, (&EVENTS_URL, &mongo::SERVER), default)
    }

    fn default_or_seeds(
        &self,
        reader: &mut Reader<'_>,
        (setting, seeds): (&OptionalSetting<String>, &'static ServerSettings),
        default: String,
    ) -> Database {
        let default = if seeds.names_a_server(reader) { seeds.here.to_owned() } else { default };
        self.database(reader.get_optional(setting).unwrap_or(default))
    }

    /// Refuses what differs from the seeds' names, and servers that nobody would ask.
    pub(super) fn refuse_differing(&self, reader: &mut Reader<'_>, asked: &Asked<'_>) {
        let databases = asked.databases();
        if !databases.iter().any(|(_, database)| self.postgres.is_meant_by(&database.url)) {
            databases
                .iter()
                .for_each(|(setting, database)| self.postgres.refuse_others(reader, (setting, &database.url)));
            let is_postgres = |database: &Database| database.url.starts_with("postgres");
            if let Some(records) = asked.records
                && postgres::SERVER.names_a_server(reader)
                && !is_postgres(records)
                && !is_postgres(asked.queue.1)
            {
                postgres::SERVER.refuse_unused(reader, &DATABASE_URL.info);
            }
        }
        if let Some(events) = asked.events {
            self.refuse_differing_mongo(reader, events);
        }
    }

    fn refuse_differing_mongo(&self, reader: &mut Reader<'_>, events: &Database) {
        if self.mongo.is_meant_by(&events.url) {
            self.mongo.refuse_password_of_nobody(reader);
        } else if events.url.starts_with("mongodb") {
            self.mongo.refuse_others(reader, (&EVENTS_URL.info, &events.url));
        } else if mongo::SERVER.names_a_server(reader) {
            mongo::SERVER.refuse_unused(reader, &EVENTS_URL.info);
        } else {
            mongo::SERVER.refuse_without_host(reader);
        }
    }
}

/// The databases that the services of a process ask.
pub(super) struct Asked<'a> {
    /// With its setting. Commands without a service look at it too.
    pub(super) queue: (&'a SettingInfo, &'a Database),
    pub(super) records: Option<&'a Database>,
    pub(super) events: Option<&'a Database>,
}

impl<'a> Asked<'a> {
    /// Each with its setting.
    fn databases(&self) -> Vec<(&'a SettingInfo, &'a Database)> {
        let records = self.records.map(|records| (&DATABASE_URL.info, records));
        let events = self.events.map(|events| (&EVENTS_URL.info, events));
        [Some(self.queue), records, events].into_iter().flatten().collect()
    }
}
