//! The seeds' names for a database of MongoDB, for whoever does not write a URL.

use backends::mongo::Address;
use chassis::config::{OptionalSetting, Port, Section, Setting};
use secrecy::SecretString;

use super::server::{Parts, ServerSettings, User};

const MONGODB_HOST: Setting<String> = Setting::new(
    "MONGODB_HOST",
    "localhost",
    "The server that an `EVENTS_URL` of `mongodb:` and no more means; where it is set, that is the default. Beside a whole URL each of these must say the same as that, or be unset.",
);
const MONGODB_PORT: Setting<Port> = Setting::new("MONGODB_PORT", "27017", "Its port.");
const MONGODB_USER: OptionalSetting<String> = OptionalSetting::new(
    "MONGODB_USER",
    "The user there, as the database `admin` knows it. Unset, nobody signs on; other ways to do that stand in a URL, such as `?authSource=events` or `?tls=true&tlsCAFile=PATH`.",
);
const MONGODB_PASSWORD: OptionalSetting<SecretString> =
    OptionalSetting::secret("MONGODB_PASSWORD", "The user's password, or a reference to it such as `file:PATH`.");
const MONGODB_DB: Setting<String> = Setting::new("MONGODB_DB", "keelson", "The database there.");

pub(super) const SECTION: Section = Section {
    title: "MongoDB",
    settings: &[MONGODB_HOST.info, MONGODB_PORT.info, MONGODB_USER.info, MONGODB_PASSWORD.info, MONGODB_DB.info],
};

/// All of them.
pub(super) static SERVER: ServerSettings = ServerSettings {
    here: "mongodb:",
    host: MONGODB_HOST,
    port: MONGODB_PORT,
    user: User::Optional(MONGODB_USER),
    password: MONGODB_PASSWORD,
    database: MONGODB_DB,
    parts,
    parameters_of_a_user: "authSource=admin",
};

/// What a whole URL says. Several servers are none that these settings could name.
fn parts(url: &str) -> Option<Parts> {
    let address = Address::of("store of events", url).ok()?;
    let (host, port) = address.server().unwrap_or_default();
    Some(Parts {
        host: host.to_owned(),
        port,
        user: address.user().map(ToOwned::to_owned),
        password: address.password(),
        database: address.database().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use chassis::config::{Layers, Mistakes};
    use secrecy::ExposeSecret;

    use super::super::{Mode, Settings};
    use crate::cli::ServiceName;

    fn read(texts: &[(&'static str, &str)]) -> Result<Settings, Mistakes> {
        Settings::read(&Layers::of(texts), Mode::Up, &[ServiceName::Analytics])
    }

    fn url(texts: &[(&'static str, &str)]) -> String {
        let place = read(texts).unwrap().events.place.unwrap();
        place.url(place.password.as_ref()).unwrap().expose_secret().to_owned()
    }

    #[test]
    fn the_seeds_names_are_the_database_of_events() {
        assert_eq!(url(&[("MONGODB_HOST", "mongodb")]), "mongodb://mongodb:27017/keelson");
        assert_eq!(url(&[("EVENTS_URL", "mongodb:")]), "mongodb://localhost:27017/keelson");
        let all = [
            ("MONGODB_HOST", "db"),
            ("MONGODB_PORT", "27018"),
            ("MONGODB_USER", "a@b%41"),
            ("MONGODB_PASSWORD", "p/w:d?%"),
            ("MONGODB_DB", "events"),
        ];
        assert_eq!(url(&all), "mongodb://a%40b%2541:p%2Fw%3Ad%3F%25@db:27018/events?authSource=admin");
        assert!(backends::mongo::Address::of("store of events", &url(&all)).is_ok());
        assert!(!format!("{:?}", read(&all).unwrap()).contains("p/w"));
    }

    #[test]
    fn two_spellings_that_differ_are_a_mistake_that_shows_no_password() {
        let whole = ("EVENTS_URL", "mongodb://ann:hunter2@db:27018/events");
        read(&[whole, ("MONGODB_HOST", "DB"), ("MONGODB_PORT", "27018"), ("MONGODB_USER", "ann")]).unwrap();
        for (name, value) in [
            ("MONGODB_HOST", "other"),
            ("MONGODB_PORT", "27017"),
            ("MONGODB_USER", "bob"),
            ("MONGODB_PASSWORD", "hunter3"),
            ("MONGODB_DB", "keelson"),
        ] {
            let text = read(&[whole, (name, value)]).unwrap_err().to_string();
            assert!(text.contains("1 mistake:") && text.contains(&format!("remove one: {name}")), "{text}");
            assert!(!text.contains("hunter"), "{text}");
        }
        for host in ["db:27018", "one:27018,two:27018", "mongodb://db", "fe80::1%lo"] {
            let place = read(&[("MONGODB_HOST", host)]).unwrap().events.place.unwrap();
            let text = place.url(None).unwrap_err().to_string();
            assert!(text.contains("MONGODB_HOST") && text.contains("its port is MONGODB_PORT"), "{text}");
        }
        assert_eq!(url(&[("MONGODB_HOST", "::1")]), "mongodb://[::1]:27017/keelson");
        let nobody = read(&[("MONGODB_HOST", "db"), ("MONGODB_PASSWORD", "hunter2")]).unwrap_err().to_string();
        assert!(nobody.contains("MONGODB_PASSWORD=*** (") && nobody.contains("MONGODB_USER"), "{nobody}");
        let nowhere = read(&[("MONGODB_DB", "events")]).unwrap_err().to_string();
        assert!(nowhere.contains("1 mistake:") && nowhere.contains("MONGODB_HOST set"), "{nowhere}");
        let many = ("EVENTS_URL", "mongodb://one,two/events");
        assert!(read(&[many, ("MONGODB_HOST", "one")]).is_err());
        let unused = read(&[("EVENTS_URL", "sqlite:e.db"), ("MONGODB_HOST", "db")]).unwrap_err().to_string();
        assert!(unused.contains("1 mistake:") && unused.contains("one of the two is not used"), "{unused}");
    }
}
