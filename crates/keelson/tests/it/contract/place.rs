//! On what a walk goes: a mode, a database, and tokens for everybody who has no account.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::launch::Launch;
use crate::production::serve;
use crate::{mongo_server, postgres_server};

const KEY: &str = "0123456789abcdef0123456789abcdef-of-tokens";

/// The system in development; or these services of it in production, as one process.
pub(crate) fn launch(production: bool, services: &[&str]) -> Launch {
    let launch = if production { serve(services).env("RATE_LIMIT", "0") } else { Launch::up() };
    launch.env("JWT_SECRET_KEY", KEY)
}

/// Where a service keeps what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    File,
    Postgres,
    Mongo,
}

impl Kept {
    /// The same on an empty database, which this variable names. `None`, after saying so, where there is no server for
    /// it.
    pub(crate) fn launch(self, launch: Launch, variable: &str, database: &str) -> Option<Launch> {
        Some(match self {
            Self::File => launch,
            Self::Postgres => launch.env(variable, &postgres(database)?),
            Self::Mongo => launch.env(variable, &mongo()?),
        })
    }
}

/// An empty database of this name. Its server ends with the test program.
fn postgres(database: &str) -> Option<String> {
    static SERVER: OnceLock<Option<postgres_server::Server>> = OnceLock::new();
    let server = SERVER.get_or_init(postgres_server::Server::start).as_ref()?;
    server.sql(&format!("CREATE DATABASE {database}"));
    Some(server.url(database))
}

fn mongo() -> Option<String> {
    static SERVER: OnceLock<Option<mongo_server::Server>> = OnceLock::new();
    SERVER.get_or_init(mongo_server::Server::start).as_ref().map(mongo_server::Server::fresh_url)
}

pub(crate) fn issue(launch: &Launch, subject: &str, scopes: &[&str]) -> String {
    let scopes = scopes.iter().flat_map(|scope| ["--scope", *scope]);
    let args: Vec<&str> = ["token", "issue", "--subject", subject].into_iter().chain(scopes).collect();
    let output = launch.args(&args).run();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Tokens with the scopes of one service: with all and `more`, with one of them, and with none. Three are no good: one
/// has no signature, one that of another key, one is for another audience.
pub(crate) fn tokens(launch: &Launch, service: &str, more: &[&str]) -> HashMap<String, String> {
    let (read, write) = (format!("{service}:read"), format!("{service}:write"));
    let (read, write) = (read.as_str(), write.as_str());
    let all = [&[read, write], more].concat();
    let entitled = issue(launch, "operator", &all);
    let claims = entitled.split('.').nth(1).unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let other_key: String = KEY.chars().rev().collect();
    let forged = issue(&launch.clone().env("JWT_SECRET_KEY", &other_key), "operator", &all);
    let foreign = issue(&launch.clone().env("JWT_AUDIENCE", "elsewhere"), "operator", &all);
    let named = [
        ("token-entitled", entitled),
        ("token-unsigned", unsigned),
        ("token-forged", forged),
        ("token-foreign", foreign),
        ("token-reader", issue(launch, "operator", &[read])),
        ("token-writer", issue(launch, "writer", &[write])),
        ("token-scopeless", issue(launch, "operator", &[])),
    ];
    named.into_iter().map(|(name, token)| (name.to_owned(), token)).collect()
}
