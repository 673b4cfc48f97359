//! Where a database is: what a URL may say, and what of it may be shown.

use std::fmt;

use mongodb::options::{ConnectionString, HostInfo, ServerAddress};
use secrecy::SecretString;

use crate::OpenError;

/// The form that messages show.
const FORM: &str = "`mongodb://USER:PASSWORD@HOST:PORT/DATABASE`, with more hosts after commas, or \
                               `mongodb+srv://USER:PASSWORD@HOST/DATABASE` (`/`, `?`, `#`, `:` and `@` in a name or password \
                               are written `%2F`, `%3F`, `%23`, `%3A` and `%40`), with any of `?authSource=`, \
                               `authMechanism=` (`SCRAM-SHA-1`, `SCRAM-SHA-256`, `MONGODB-X509`), \
                               `replicaSet=`, `directConnection=`, `tls=`, `tlsCAFile=`, `tlsCertificateKeyFile=`, \
                               `appName=`, `retryWrites=`, and `w=majority`, which is what counts anyway; what else some \
                               providers add, such as `readPreference=`, is to be removed";

/// All others are refused: a misspelt `tls` must not mean less protection, a weaker write concern would lose what was
/// confirmed, and a password in a parameter would be shown where the URL is.
const PARAMETERS: &[&str] = &[
    "appname",
    "authmechanism",
    "authsource",
    "directconnection",
    "replicaset",
    "retrywrites",
    "ssl",
    "tls",
    "tlscafile",
    "tlscertificatekeyfile",
    "w",
];

/// Where the URL names none.
const DATABASE: &str = "keelson";

/// One database, and how to sign on to it. Shows where and which; never who, nor the password.
#[derive(Clone)]
pub struct Address {
    pub(super) connection: ConnectionString,
}

impl Address {
    /// Reads a whole URL. `kind` is what is to be opened, for messages.
    ///
    /// # Errors
    /// When it is no such URL, or has a parameter that is not known; the message shows nothing of it.
    /// <https://www.mongodb.com/docs/manual/reference/connection-string/>
    pub fn of(kind: &'static str, url: &str) -> Result<Self, OpenError> {
        let malformed = || OpenError::Malformed { kind, expected: FORM };
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
        if !parameters.split('&').filter(|text| !text.is_empty()).all(is_known) {
            return Err(malformed());
        }
        let connection = ConnectionString::parse(url).map_err(|_| malformed())?;
        Ok(Self { connection })
    }

    /// The only server, and its port where there is one; `None` where the URL names several.
    #[must_use]
    pub fn server(&self) -> Option<(&str, Option<u16>)> {
        match &self.connection.host_info {
            HostInfo::HostIdentifiers(hosts) => match &hosts[..] {
                [ServerAddress::Tcp { host, port }] => Some((host, Some(port.unwrap_or(27_017)))),
                _ => None,
            },
            HostInfo::DnsRecord(host) => Some((host, None)),
            _ => None,
        }
    }

    /// Who signs on, where anybody does.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.connection.credential.as_ref()?.username.as_deref()
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> Option<SecretString> {
        self.connection.credential.as_ref()?.password.as_deref().map(Into::into)
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &str {
        self.connection.default_database.as_deref().unwrap_or(DATABASE)
    }
}

/// Whether a parameter may be in a URL.
fn is_known(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let name = name.to_ascii_lowercase();
    let fits = match &*name {
        "w" => value == "majority",
        // No other one keeps the password to itself, or needs what this program has not.
        "authmechanism" => ["SCRAM-SHA-1", "SCRAM-SHA-256", "MONGODB-X509"].contains(&value),
        _ => true,
    };
    fits && PARAMETERS.contains(&&*name)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {} at ", self.database())?;
        match &self.connection.host_info {
            HostInfo::HostIdentifiers(hosts) => {
                let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
                f.write_str(&hosts.join(","))
            }
            HostInfo::DnsRecord(host) => f.write_str(host),
            _ => f.write_str("MongoDB"),
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

    fn address(url: &str) -> Result<Address, OpenError> {
        Address::of("store of events", url)
    }

    #[test]
    fn an_address_shows_where_it_is_and_no_password() {
        let one =
            address("mongodb://a%40b:p%2Fw%3A%25d@db.example.com:27018/ev%2Dents?tls=true&authSource=admin").unwrap();
        assert_eq!(one.to_string(), "database ev-ents at db.example.com:27018");
        assert_eq!(format!("{one:?}"), "Address(database ev-ents at db.example.com:27018)");
        assert_eq!((one.server(), one.user()), (Some(("db.example.com", Some(27_018))), Some("a@b")));
        assert_eq!(one.password().unwrap().expose_secret(), "p/w:%d");
        let many = address("mongodb://u:hunter2@one,two:27018/?replicaSet=rs0&w=majority").unwrap();
        assert_eq!((many.to_string().as_str(), many.server()), ("database keelson at one:27017,two:27018", None));
        let record =
            address("mongodb+srv://u:hunter2@cluster.example.com/?retryWrites=true&w=majority&appName=x").unwrap();
        assert_eq!(record.to_string(), "database keelson at cluster.example.com");
        assert_eq!(record.server(), Some(("cluster.example.com", None)));
    }

    #[test]
    fn what_is_not_known_or_weakens_what_was_confirmed_is_refused_and_not_repeated() {
        for url in [
            "mongodb:",
            "mongodb://",
            "mongodb://h/d?tsl=true",
            "mongodb://h/d?w=1",
            "mongodb://h/d?journal=false",
            "mongodb://h/d?tls=maybe",
            "mongodb://u:hunter2@h/d?authMechanism=PLAIN",
            "mongodb://h/d?readPreference=secondaryPreferred",
            "mongodb://h:port/d",
            "mongodb+srv://h:1/d",
            "mongodb://h/d?tlsCertificateKeyFilePassword=hunter2",
            "mongodb://u:hunter/2@h/d",
            "mongodb://u:hunter?2@h/d",
            "mongodb://u:hunter@2@h/d",
        ] {
            let error = address(url).unwrap_err();
            assert!(matches!(error, OpenError::Malformed { .. }), "{url}");
            assert!(!error.to_string().contains("hunter"), "{error}");
        }
    }
}
