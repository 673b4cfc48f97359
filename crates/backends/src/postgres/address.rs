//! Where a database is: what a URL may say, and what of it may be shown.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::OpenError;

/// The form that messages show.
pub(crate) const FORM: &str = "`postgres://USER:PASSWORD@HOST:PORT/DATABASE` (`/`, `?`, `#` and `@` in a name or password \
                               are written `%2F`, `%3F`, `%23` and `%40`), with any of `?sslmode=`, `sslrootcert=`, \
                               `sslcert=`, `sslkey=`, `host=` (the folder of a socket) and `application_name=`";

/// All others are refused: a misspelt `sslmode` must not mean less protection, and a password in a parameter would be
/// shown where the URL is.
const PARAMETERS: &[&str] = &["application_name", "host", "sslcert", "sslkey", "sslmode", "sslrootcert"];

/// As other sessions of the server see us.
const APPLICATION_NAME: &str = "keelson";

/// One database, and how to sign on to it. Shows who, where and which; never the password.
#[derive(Clone)]
pub struct Address {
    pub(crate) options: PgConnectOptions,
    /// Of the URL itself.
    password: Option<SecretString>,
}

impl Address {
    /// Where a queue is; see [`Address::of`].
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn parse(rest: &str) -> Result<Self, OpenError> {
        Self::of("queue", rest)
    }

    /// Reads `//USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`, what follows the scheme. What it leaves out comes from
    /// where libpq looks: `PGPASSFILE`, `PGSSLMODE` and so on. `kind` is what is to be opened, for messages.
    ///
    /// # Errors
    /// When it is no such URL, or has a parameter that is not known; the message shows nothing of it. Nor is a bare `@` after
    /// the server taken, which is `%40` in a name: then a password that is not escaped was cut at its `/` or `#`, and its
    /// parts would be shown as those of the place.
    pub fn of(kind: &'static str, rest: &str) -> Result<Self, OpenError> {
        let malformed = || OpenError::Malformed { kind, expected: FORM };
        if !rest.starts_with("//") || rest.len() == 2 {
            return Err(malformed());
        }
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if place[2..].split_once(['/', '#']).is_some_and(|(_, after)| after.contains('@')) {
            return Err(malformed());
        }
        let names = parameters.split('&').filter(|text| !text.is_empty()).map(|text| text.split('=').next());
        if names.flatten().any(|name| !PARAMETERS.contains(&name)) {
            return Err(malformed());
        }
        let options = PgConnectOptions::from_str(&format!("postgres:{rest}")).map_err(|_| malformed())?;
        let options = match parameters.contains("application_name=") {
            true => options,
            false => options.application_name(APPLICATION_NAME),
        };
        Ok(Self { options: options.disable_statement_logging(), password: password(rest) })
    }

    /// The server's name or address, without the brackets of IPv6; not where there is a socket.
    #[must_use]
    pub fn host(&self) -> &str {
        self.options.get_host().trim_start_matches('[').trim_end_matches(']')
    }

    /// The server's port; part of the name of a socket too.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.options.get_port()
    }

    /// The folder of the socket, where the server is asked over one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        let folder = || Some(Path::new(self.options.get_host())).filter(|host| host.is_absolute());
        self.options.get_socket().map(AsRef::as_ref).or_else(folder)
    }

    /// Who signs on.
    #[must_use]
    pub fn user(&self) -> &str {
        self.options.get_username()
    }

    /// The password that the URL itself has, and no other source of one.
    #[must_use]
    pub fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// The database; named as the user where nobody says.
    #[must_use]
    pub fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }
}

/// What stands between the user and the last `@` before the path, as URLs are read; the driver keeps its own to itself.
fn password(rest: &str) -> Option<SecretString> {
    let authority = rest.trim_start_matches('/').split(['/', '?', '#']).next()?;
    let (_, password) = authority.rsplit_once('@')?.0.split_once(':')?;
    let decoded = percent_decode_str(password).decode_utf8_lossy();
    (!decoded.is_empty()).then(|| decoded.into_owned().into())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.database();
        match self.socket() {
            Some(socket) => write!(f, "database {database} at {}", socket.display()),
            None => write!(f, "database {database} at {}:{}", self.options.get_host(), self.port()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn an_address_shows_where_it_is_and_no_password() {
        let address = Address::parse("//keelson:hunter2@db.example.com:5433/queue?sslmode=verify-full").unwrap();
        assert_eq!(address.to_string(), "database queue at db.example.com:5433");
        assert!(!format!("{address:?}").contains("hunter2"));
        assert_eq!(Address::parse("//u@h/q?host=/run/pg").unwrap().to_string(), "database q at /run/pg");
    }

    #[test]
    fn the_parts_of_an_address_are_those_that_the_driver_uses() {
        let address = Address::parse("//a%40b:p%2Fw%3A%25d@[::1]:5433/q%3Fu?sslmode=require").unwrap();
        assert_eq!((address.user(), address.host(), address.port()), ("a@b", "::1", 5433));
        assert_eq!((address.database(), address.socket()), ("q?u", None));
        assert_eq!(address.password().unwrap().expose_secret(), "p/w:%d");
        for none in ["//u@h/q", "//u:@h/q", "//h/q?sslmode=require", "//h/a:b%40c"] {
            assert!(Address::parse(none).unwrap().password().is_none(), "{none}");
        }
        let socket = Address::parse("//u@h/q?host=/run/pg").unwrap();
        assert_eq!(socket.socket(), Some(Path::new("/run/pg")));
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_repeated() {
        for rest in
            ["", "//", "db/queue", "//h/q?sslmod=require", "//h/q?password=hunter2", "//h:port/q", "//h/q?sslmode=x"]
        {
            let error = Address::parse(rest).unwrap_err();
            assert!(matches!(error, OpenError::Malformed { .. }), "{rest}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_password_that_is_not_escaped_is_not_taken_for_a_place() {
        for rest in ["//u:12/34@h/q", "//u:1#2@h/q", "//u:1?2@h/q", "//u:a@b/c@h/q", "//u:12/34@h"] {
            assert!(matches!(Address::parse(rest).unwrap_err(), OpenError::Malformed { .. }), "{rest}");
        }
        assert_eq!(Address::parse("//u:12%2F34@h/q?application_name=a@b").unwrap().host(), "h");
    }
}
