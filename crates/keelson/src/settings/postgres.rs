//! The seeds' names for a database of PostgreSQL, for whoever does not write a URL.

use backends::postgres::Address;
use chassis::config::{OptionalSetting, Port, Section, Setting};
use secrecy::SecretString;

use super::server::{Parts, ServerSettings, User};

const POSTGRES_HOST: Setting<String> = Setting::new(
    "POSTGRES_HOST",
    "localhost",
    "The server that a URL of `postgres:` and no more means. Beside a whole URL each of these must say the same as that, or be unset.",
);
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

/// All of them.
pub(super) static SERVER: ServerSettings = ServerSettings {
    here: "postgres:",
    host: POSTGRES_HOST,
    port: POSTGRES_PORT,
    user: User::Always(POSTGRES_USER),
    password: POSTGRES_PASSWORD,
    database: POSTGRES_DB,
    parts,
    parameters_of_a_user: "",
};

/// What a whole URL says.
fn parts(url: &str) -> Option<Parts> {
    let (_, rest) = url.split_once(':').filter(|(scheme, _)| matches!(*scheme, "postgres" | "postgresql"))?;
    let address = Address::parse(rest).ok()?;
    let host = address.socket().map_or_else(|| address.host().to_owned(), |folder| folder.display().to_string());
    Some(Parts {
        host,
        port: Some(address.port()),
        user: Some(address.user().to_owned()),
        password: address.password().cloned(),
        database: address.database().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use chassis::config::Layers;
    use secrecy::ExposeSecret;

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
        let place = settings.queue.place.unwrap();
        let url = place.url(place.password.as_ref()).unwrap();
        assert_eq!(url.expose_secret(), "postgres://a%40b%2541:p%2Fw%3Ad%3F%25@db:5433/q%3Fu%25eue");
        assert!(!format!("{place:?}").contains("p/w"));
    }

    #[test]
    fn a_whole_url_is_taken_as_it_is() {
        let settings = read(&[("QUEUE_URL", "postgres://db/queue")]);
        assert_eq!(settings.queue.url, "postgres://db/queue");
        assert!(settings.queue.place.is_none());
    }

    #[test]
    fn what_says_the_same_as_a_whole_url_may_stand_beside_it() {
        read(&[
            ("QUEUE_URL", "postgresql://a%40b:p%2Fw@DB/queue?sslmode=require"),
            ("POSTGRES_HOST", "db"),
            ("POSTGRES_PORT", "5432"),
            ("POSTGRES_USER", "a@b"),
            ("POSTGRES_PASSWORD", "p/w"),
            ("POSTGRES_DB", "queue"),
        ]);
        read(&[("QUEUE_URL", "postgres://u@[::1]:5433/q"), ("POSTGRES_HOST", "::1"), ("POSTGRES_PORT", "5433")]);
        read(&[("QUEUE_URL", "postgres://u@h/q?host=/run/pg"), ("POSTGRES_HOST", "/run/pg")]);
        // Those of another database, such as that of another service in the same file.
        read(&[("QUEUE_URL", "memory:"), ("POSTGRES_HOST", "another")]);
    }

    #[test]
    fn each_setting_that_differs_from_a_whole_url_is_a_mistake_that_names_both_and_shows_no_password() {
        let url = "postgres://keelson:hunter2@db:5433/queue";
        let all = [
            ("POSTGRES_HOST", "another"),
            ("POSTGRES_PORT", "5432"),
            ("POSTGRES_USER", "root"),
            ("POSTGRES_PASSWORD", "hunter3"),
            ("POSTGRES_DB", "postgres"),
        ];
        let refused = |texts: &[(&'static str, &str)]| {
            let layers = Layers::of(texts);
            Settings::read(&layers, Mode::Up, &[ServiceName::Archiver]).unwrap_err().to_string()
        };
        for (name, value) in all {
            let text = refused(&[("QUEUE_URL", url), (name, value)]);
            let shown = if name == "POSTGRES_PASSWORD" { "***" } else { value };
            assert!(text.contains("1 mistake:") && text.contains(&format!("{name}={shown} (")), "{text}");
            assert!(text.contains("QUEUE_URL=postgres://keelson:***@db:5433/queue ("), "{text}");
            assert!(text.contains(&format!("remove one: {name}, or all of the URL after `postgres:`")), "{text}");
        }
        // Its password has no letter that a URL gives a meaning to, or the URL is refused where it is opened.
        let text = refused(&[("QUEUE_URL", "postgres://keelson:hun@ter2@db:5433/queue"), ("POSTGRES_DB", "postgres")]);
        assert!(text.contains("QUEUE_URL=postgres://keelson:***@db:5433/queue ("), "{text}");
        for unescaped in ["12/hunter2", "12#hunter2", "hunter2@1/2"] {
            let url = format!("postgres://keelson:{unescaped}@db/queue");
            let settings = read(&[("QUEUE_URL", &url), ("POSTGRES_DB", "postgres")]);
            assert!(
                settings.queue.place.is_none() && Address::parse(&url["postgres:".len()..]).is_err(),
                "{unescaped}"
            );
        }
        let text = refused(&[&[("QUEUE_URL", url)], &all[..]].concat());
        assert!(text.contains("5 mistakes") && !text.contains("hunter"), "{text}");
        // What the URL leaves out is not what the setting says.
        for (name, value) in [("POSTGRES_PASSWORD", "hunter3"), ("POSTGRES_DB", "postgres"), ("POSTGRES_HOST", "db")] {
            let text = refused(&[("QUEUE_URL", "postgres://keelson@h"), (name, value)]);
            assert!(text.contains("1 mistake:") && text.contains(name) && !text.contains("hunter"), "{text}");
        }
    }

    #[test]
    fn the_seeds_names_are_the_database_of_users_and_never_unused_in_silence() {
        let users = |texts: &[(&'static str, &str)]| {
            let all = [texts, &[("JWT_SECRET_KEY", "k")]].concat();
            Settings::read(&Layers::of(&all), Mode::Serve, &[ServiceName::Users]).map(|settings| settings.records)
        };
        let production = ("PRODUCTION", "false");
        let found = users(&[production, ("POSTGRES_HOST", "db")]).unwrap();
        assert!(found.url == "postgres:" && found.place.is_some());
        let own = [production, ("DATABASE_URL", "postgres://db/users"), ("POSTGRES_HOST", "db")];
        assert!(users(&own).unwrap().place.is_none());
        for (url, expected) in [("sqlite:u.db", "one of the two is not used"), ("postgres://other/users", "remove one")]
        {
            let mistakes =
                users(&[production, ("DATABASE_URL", url), ("POSTGRES_HOST", "db")]).unwrap_err().to_string();
            assert!(mistakes.contains("1 mistake:") && mistakes.contains(expected), "{mistakes}");
        }
    }
}
