//! Where a database is: what a URL may say, and what of it may be shown.

use std::fmt;
use std::str::FromStr;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::OpenError;

/// The form that messages show.
pub(crate) const FORM: &str = "`postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with any of `?sslmode=`, `sslrootcert=`, \
                               `sslcert=`, `sslkey=`, `host=` (the folder of a socket) and `application_name=`";

/// All others are refused: a misspelt `sslmode` must not mean less protection, and a password in a parameter would be
/// shown where the URL is.
const PARAMETERS: &[&str] = &["application_name", "host", "sslcert", "sslkey", "sslmode", "sslrootcert"];

/// As other sessions of the server see us.
const APPLICATION_NAME: &str = "keelson";

/// One database, and how to sign on to it.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) options: PgConnectOptions,
}

impl Address {
    /// Reads `//USER:PASSWORD@HOST:PORT/DATABASE?PARAMETERS`, what follows the scheme. What it leaves out comes from
    /// where libpq looks: `PGPASSFILE`, `PGSSLMODE` and so on.
    ///
    /// # Errors
    /// When it is no such URL, or has a parameter that is not known; the message shows nothing of it.
    pub(crate) fn parse(rest: &str) -> Result<Self, OpenError> {
        let malformed = || OpenError::Malformed { kind: "queue", expected: FORM };
        if !rest.starts_with("//") || rest.len() == 2 {
            return Err(malformed());
        }
        let parameters = rest.split_once('?').map_or("", |(_, parameters)| parameters);
        let names = parameters.split('&').filter(|text| !text.is_empty()).map(|text| text.split('=').next());
        if names.flatten().any(|name| !PARAMETERS.contains(&name)) {
            return Err(malformed());
        }
        let options = PgConnectOptions::from_str(&format!("postgres:{rest}")).map_err(|_| malformed())?;
        let options = match parameters.contains("application_name=") {
            true => options,
            false => options.application_name(APPLICATION_NAME),
        };
        Ok(Self { options: options.disable_statement_logging() })
    }
}

/// Who, where and which; never the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        match options.get_socket() {
            Some(socket) => write!(f, "database {database} at {}", socket.display()),
            None => write!(f, "database {database} at {}:{}", options.get_host(), options.get_port()),
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
    use super::*;

    #[test]
    fn an_address_shows_where_it_is_and_no_password() {
        let address = Address::parse("//keelson:hunter2@db.example.com:5433/queue?sslmode=verify-full").unwrap();
        assert_eq!(address.to_string(), "database queue at db.example.com:5433");
        assert!(!format!("{address:?}").contains("hunter2"));
        assert_eq!(Address::parse("//u@h/q?host=/run/pg").unwrap().to_string(), "database q at /run/pg");
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
}
