//! PostgreSQL as the rows use it: the server that the tests start, on the core of the load.

use anyhow::{Result, ensure};

use self::server::Server;
use crate::bench::Bench;

#[path = "../../crates/backends/tests/it/postgres/server.rs"]
#[expect(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "what the tests make of it")]
mod server;

/// A server with its own settings; it ends with this.
#[derive(Debug)]
pub(crate) struct Postgres(Server);

impl Postgres {
    /// `None`, after saying so, where it is not installed.
    pub(crate) fn start(bench: &mut Bench) -> Option<Self> {
        let server = server::programs().and_then(|_| Server::start());
        if server.is_none() {
            bench.report.skip("the whole row", "no PostgreSQL: install the package postgresql");
        }
        server.map(Self)
    }

    /// Answers its URL.
    pub(crate) fn create_database(&self, name: &str) -> Result<String> {
        let answer = self.0.ask(&format!("sql postgres CREATE DATABASE {name}"));
        ensure!(answer == "ok", "PostgreSQL made no database {name}: {answer}");
        Ok(self.0.url(name))
    }
}
