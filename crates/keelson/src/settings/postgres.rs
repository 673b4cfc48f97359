//! The seeds' names for a database of PostgreSQL, for whoever does not write a URL.

use chassis::config::{OptionalSetting, Port, Reader, Section, Setting};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;

/// The `QUEUE_URL` that means the settings below.
pub(super) const HERE: &str = "postgres:";

const POSTGRES_HOST: Setting<String> =
    Setting::new("POSTGRES_HOST", "localhost", "The server that a URL of `postgres:` and no more means.");
const POSTGRES_PORT: Setting<Port> = Setting::new("POSTGRES_PORT", "5432", "Its port.");
const POSTGRES_USER: Setting<String> = Setting::new("POSTGRES_USER", "keelson", "The user there.");
const POSTGRES_PASSWORD: OptionalSetting<SecretString> =
    OptionalSetting::secret("POSTGRES_PASSWORD", "The user's password, or a reference to it such as `file:PATH`.");
const POSTGRES_DB: Setting<String> = Setting::new(
    "POSTGRES_DB",
    "keelson",
    "The database there. How the line is protected stands in a URL (`?sslmode=verify-full&sslrootcert=PATH`), or in `PGSSLMODE` and `PGSSLROOTCERT` as for psql.",
);

pub(super) const SECTION: Section = Section {
    title: "PostgreSQL",
    settings: &[POSTGRES_HOST.info, POSTGRES_PORT.info, POSTGRES_USER.info, POSTGRES_PASSWORD.info, POSTGRES_DB.info],
};

/// One database, and who asks it.
#[derive(Debug, Clone)]
pub(crate) struct PostgresPlace {
    host: String,
    port: u16,
    user: String,
    /// Itself, or a reference to it.
    pub(crate) password: Option<SecretString>,
    database: String,
}

impl PostgresPlace {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            host: reader.get(&POSTGRES_HOST),
            port: reader.get(&POSTGRES_PORT).0,
            user: reader.get(&POSTGRES_USER),
            password: reader.get_optional(&POSTGRES_PASSWORD),
            database: reader.get(&POSTGRES_DB),
        }
    }

    /// As a URL. Whatever stands in a name or password stands for itself.
    pub(crate) fn url(&self, password: Option<&SecretString>) -> Result<SecretString, Failure> {
        // The only character that these setters take for an escape.
        let literal = |text: &str| text.replace('%', "%25");
        let build = || {
            let mut url = Url::parse("postgres://localhost").ok()?;
            url.set_host(Some(&self.host)).ok()?;
            url.set_port(Some(self.port)).ok()?;
            url.set_username(&literal(&self.user)).ok()?;
            url.set_password(password.map(|it| literal(it.expose_secret())).as_deref()).ok()?;
            url.path_segments_mut().ok()?.push(&self.database);
            Some(SecretString::from(String::from(url)))
        };
        build().ok_or_else(|| Failure::usage(format!("POSTGRES_HOST={}: expected the name of a server", self.host)))
    }
}

#[cfg(test)]
mod tests {
    use chassis::config::Layers;

    use super::super::{Mode, Settings};
    use super::*;
    use crate::cli::ServiceName;

    fn read(texts: &[(&'static str, &str)]) -> Settings {
        Settings::read(&Layers::of(texts), Mode::Up, &[ServiceName::Archiver]).unwrap()
    }

    #[test]
    fn the_seeds_names_become_a_url_in_which_everything_stands_for_itself() {
        let settings = read(&[
            ("QUEUE_URL", "postgres:"),
            ("POSTGRES_HOST", "db"),
            ("POSTGRES_PORT", "5433"),
            ("POSTGRES_USER", "a@b%41"),
            ("POSTGRES_PASSWORD", "p/w:d?%"),
            ("POSTGRES_DB", "q?u%eue"),
        ]);
        let place = settings.queue_place.unwrap();
        let url = place.url(place.password.as_ref()).unwrap();
        assert_eq!(url.expose_secret(), "postgres://a%40b%2541:p%2Fw%3Ad%3F%25@db:5433/q%3Fu%25eue");
        assert!(!format!("{place:?}").contains("p/w"));
    }

    #[test]
    fn a_whole_url_is_taken_as_it_is() {
        let settings = read(&[("QUEUE_URL", "postgres://db/queue"), ("POSTGRES_HOST", "another")]);
        assert_eq!(settings.queue_url, "postgres://db/queue");
        assert!(settings.queue_place.is_none());
    }
}
