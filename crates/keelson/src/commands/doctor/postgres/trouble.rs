//! What it means that a database did not say what it was asked.

use backends::postgres::Address;
use backends::postgres::inspect::Trouble;

use super::super::queue::QUEUE;
use super::super::report::Check;
use super::Judge;

impl Judge<'_> {
    /// The check that failed so.
    pub(super) fn trouble(&self, address: &Address, trouble: &Trouble) -> Check {
        Check::failed(QUEUE, format!("{address}: {trouble}"), self.fix(address, trouble))
    }

    fn fix(&self, address: &Address, trouble: &Trouble) -> String {
        let (user, database, host) = (quoted(address.user()), quoted(address.database()), address.host());
        let place = self.set_in("POSTGRES_HOST and POSTGRES_PORT");
        match trouble {
            Trouble::UnknownHost => {
                format!("correct {}, or let this machine know the name: `getent hosts {host}`", self.set_in("POSTGRES_HOST"))
            }
            Trouble::Refused(_) => {
                format!("start the server, or correct {place}; listen_addresses of the server says from where it is heard")
            }
            Trouble::TimedOut => format!(
                "let this machine reach the server: a route, a firewall, a security group; correct {place}; see whether the server hangs"
            ),
            Trouble::Tls(text) if text.contains("does not support TLS") => {
                format!("turn `ssl` on at the server; or, in a network that nobody else is in, {}", self.set_line("prefer"))
            }
            Trouble::Tls(_) => format!(
                "name the authority of the server's certificate: {}; HOST must be the name in the certificate",
                self.root_certificate()
            ),
            Trouble::Credentials(_) => format!(
                "correct user and password in {}; ALTER ROLE {user} PASSWORD sets another",
                self.set_in("POSTGRES_USER and POSTGRES_PASSWORD")
            ),
            Trouble::NotLetIn(text) if text.contains("no encryption") || text.contains("SSL off") => {
                format!("the server may let in those who speak TLS: {}; pg_hba.conf of the server decides", self.set_line("require"))
            }
            Trouble::NotLetIn(_) => format!(
                "let pg_hba.conf of the server admit it (`host {database} {user} ADDRESS scram-sha-256`), or make the user: CREATE ROLE {user} LOGIN PASSWORD"
            ),
            Trouble::NoDatabase(_) => format!(
                "correct {}, or make it as an administrator: CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0",
                self.set_in("POSTGRES_DB")
            ),
            Trouble::Denied(_) => format!("as the owner of the database: GRANT CONNECT ON DATABASE {database} TO {user}"),
            Trouble::NotShown(_) => format!(
                "PostgreSQL shows everybody its catalogue, until somebody takes that away; as an administrator, in that database, give back what is named above: GRANT SELECT ON it TO {user}, or GRANT EXECUTE ON FUNCTION"
            ),
            Trouble::Full(_) => "raise max_connections, or the CONNECTION LIMIT of the user or of the database; or close what needs none".to_owned(),
            Trouble::NotReady(_) => "ask again in a moment; the server's log tells what it does".to_owned(),
            Trouble::Other(_) => format!("see that a server of PostgreSQL is there, and what its log says; correct {place}"),
        }
    }

    /// Where this is said.
    fn set_in(&self, parts: &'static str) -> &'static str {
        if self.in_parts { parts } else { "QUEUE_URL" }
    }

    fn set_line(&self, mode: &str) -> String {
        match self.in_parts {
            true => format!("PGSSLMODE={mode}"),
            false => format!("`?sslmode={mode}` in QUEUE_URL"),
        }
    }

    fn root_certificate(&self) -> &'static str {
        match self.in_parts {
            true => "PGSSLROOTCERT=PATH",
            false => "`sslrootcert=PATH` in QUEUE_URL",
        }
    }
}

/// As SQL and `pg_hba.conf` take any name for itself: without quotes some are words of the language, such as `user` and
/// `order`, and `all` and `replication` are none in `pg_hba.conf`.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(in_parts: bool, trouble: &Trouble) -> Check {
        let address = Address::parse("//My User:hunter2@db.example.com/queue").unwrap();
        Judge { processes: &[], in_parts }.trouble(&address, trouble)
    }

    #[test]
    fn each_trouble_has_its_fix_where_it_is_set() {
        let said = || "server says (28000)".to_owned();
        for (trouble, whole, parts) in [
            (Trouble::UnknownHost, "correct QUEUE_URL", "correct POSTGRES_HOST, or"),
            (Trouble::Refused(said()), "correct QUEUE_URL", "POSTGRES_HOST and POSTGRES_PORT"),
            (Trouble::TimedOut, "a firewall", "a security group"),
            (Trouble::Tls("server does not support TLS".into()), "`?sslmode=prefer`", "PGSSLMODE=prefer"),
            (Trouble::Tls("unknown issuer".into()), "`sslrootcert=PATH`", "PGSSLROOTCERT=PATH"),
            (Trouble::Credentials(said()), "ALTER ROLE \"My User\"", "POSTGRES_PASSWORD"),
            (Trouble::NotLetIn("x, no encryption (28000)".into()), "`?sslmode=require`", "PGSSLMODE=require"),
            (Trouble::NotLetIn(said()), "`host \"queue\" \"My User\" ADDRESS", "CREATE ROLE \"My User\" LOGIN"),
            (Trouble::NoDatabase(said()), "CREATE DATABASE \"queue\" ", "correct POSTGRES_DB"),
            (Trouble::Denied(said()), "GRANT CONNECT ON DATABASE \"queue\" TO \"My User\"", "GRANT"),
            (Trouble::NotShown(said()), "GRANT SELECT ON it TO \"My User\"", "administrator"),
            (Trouble::Full(said()), "max_connections", "CONNECTION LIMIT"),
            (Trouble::NotReady(said()), "in a moment", "in a moment"),
            (Trouble::Other(said()), "correct QUEUE_URL", "POSTGRES_PORT"),
        ] {
            for (in_parts, part) in [(false, whole), (true, parts)] {
                let check = judge(in_parts, &trouble);
                assert!(check.fix[0].contains(part), "{part}: {check:?}");
                assert!(check.text.starts_with("database queue at db.example.com:5432: "), "{check:?}");
                assert!(!format!("{check:?}").contains("hunter2"), "{check:?}");
            }
        }
    }

    #[test]
    fn a_name_that_is_a_word_of_the_language_stands_for_itself() {
        let said = || "server says".to_owned();
        let fix = |url: &str, trouble: Trouble| {
            let address = Address::parse(url).unwrap();
            Judge { processes: &[], in_parts: false }.trouble(&address, &trouble).fix.concat()
        };
        for name in ["user", "order", "all", "replication", "plain"] {
            let url = format!("//{name}@h/{name}");
            let rule = format!("`host \"{name}\" \"{name}\" ADDRESS scram-sha-256`");
            assert!(fix(&url, Trouble::NotLetIn(said())).contains(&rule), "{name}");
            assert!(fix(&url, Trouble::Credentials(said())).contains(&format!("ALTER ROLE \"{name}\" PASSWORD")));
            assert!(fix(&url, Trouble::NoDatabase(said())).contains(&format!("CREATE DATABASE \"{name}\" ENCODING")));
        }
        assert!(fix("//a%22b@h/q", Trouble::Credentials(said())).contains("ALTER ROLE \"a\"\"b\" "));
    }
}
