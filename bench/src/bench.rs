//! What every row works with: the binaries, the folders, the plan, and the product as it is started for a measurement.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::paired::Plan;
use crate::report::Report;
use crate::server::{Launch, Server, free_port, local};
use crate::system::Cores;

/// Strong enough for production.
pub(crate) const API_TOKEN: &str = "0123456789abcdef0123456789abcdef-bench";

/// Requests per minute that no load reaches, so that each one is counted and none refused.
const HIGH_LIMIT: &str = "4000000000";

/// A message as a caller sends it.
pub(crate) fn message() -> String {
    format!(
        r#"{{"token":"{API_TOKEN}","data":{{"email_subject":"Happy new year!","email_sender":"John Doe","email_timestream":"1693561101","email_content":"{}"}}}}"#,
        "Just want to say... Happy new year!!! ".repeat(8).trim_end()
    )
}

/// One run of the benchmarks.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) keelson: PathBuf,
    /// This program, which is the peers too.
    pub(crate) own: PathBuf,
    /// The program that measures the stores of users.
    pub(crate) users_numbers: PathBuf,
    /// The program that measures the codecs of encrypted bodies.
    pub(crate) envelope_numbers: PathBuf,
    /// Python with the packages of the Python peers.
    pub(crate) python: Option<PathBuf>,
    /// `bench/peers`.
    pub(crate) peers: PathBuf,
    /// On a real disk.
    pub(crate) disk: PathBuf,
    /// In memory where there is such a folder: what servers log must not wait for a disk.
    pub(crate) logs: PathBuf,
    pub(crate) cores: Cores,
    pub(crate) plan: Plan,
    pub(crate) report: Report,
}

/// The product with its addresses.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) launch: Launch,
    pub(crate) data: PathBuf,
    pub(crate) public: SocketAddr,
    pub(crate) internal: SocketAddr,
}

impl Product {
    /// What `/ops/v1` asks for; known once it runs.
    pub(crate) fn operator_token(&self) -> Result<String> {
        let path = self.data.join("run.json");
        let text = fs::read(&path).with_context(|| format!("{}", path.display()))?;
        let file: Value = serde_json::from_slice(&text)?;
        file["operator_token"].as_str().map(str::to_owned).context("run.json without an operator token")
    }

    /// Runs it under an instrument.
    pub(crate) fn under(mut self, instrument: &[String]) -> Self {
        self.launch.command.splice(0..0, instrument.iter().cloned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.launch.env.retain(|(known, _)| known != name);
        self.launch.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn start(&self) -> Result<Server> {
        self.launch.start()
    }
}

impl Bench {
    /// `keelson serve SERVICE` as in production: JSON log lines on standard output, an internal listener, and a rate
    /// limit that counts and never refuses.
    pub(crate) fn serve(&self, name: &str, service: &str) -> Result<Product> {
        let (public, internal) = (free_port()?, free_port()?);
        let data = self.disk.join(name);
        let command = [&self.keelson.display().to_string(), "serve", service, "--host", "127.0.0.1"];
        let mut command = command.map(str::to_owned).to_vec();
        command.extend(["--port".to_owned(), public.to_string(), "--data".to_owned(), data.display().to_string()]);
        let internal_port = internal.to_string();
        let env = [
            ("PRODUCTION", "true"),
            ("API_TOKEN", API_TOKEN),
            ("RATE_LIMIT", HIGH_LIMIT),
            ("DRAIN_DELAY", "0"),
            // Peers encrypt nothing either.
            ("ENCRYPT_CALLS", "false"),
            ("INTERNAL_PORT", &internal_port),
        ];
        let launch = Launch {
            name: name.to_owned(),
            cores: self.cores.server.to_string(),
            command,
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            output: self.output(name),
            ready: (local(public), "/health/ready"),
        };
        Ok(Product { launch, data, public: local(public), internal: local(internal) })
    }

    /// `keelson up` with nothing but free ports: what a developer starts.
    pub(crate) fn up(&self, name: &str) -> Result<Product> {
        let (ingest, archiver) = (free_port()?, free_port()?);
        let data = self.disk.join(name);
        let keelson = self.keelson.display().to_string();
        let command = [&keelson, "up", "--json", "--data", &data.display().to_string()].map(str::to_owned).to_vec();
        let ports = [
            ("GATEWAY_PORT", 0),
            ("INGEST_PORT", ingest),
            ("ARCHIVER_PORT", archiver),
            ("USERS_PORT", 0),
            ("ORDERS_PORT", 0),
            ("ANALYTICS_PORT", 0),
        ];
        let mut env: Vec<_> = ports.map(|(name, port)| (name.to_owned(), port.to_string())).to_vec();
        env.push(("API_TOKEN".to_owned(), API_TOKEN.to_owned()));
        let ready = (local(ingest), "/health/ready");
        let launch = Launch {
            name: name.to_owned(),
            cores: self.cores.server.to_string(),
            command,
            env,
            output: self.output(name),
            ready,
        };
        Ok(Product { launch, data, public: local(ingest), internal: local(archiver) })
    }

    /// A token as an operator makes it, for services whose `JWT_SECRET_KEY` is [`API_TOKEN`].
    pub(crate) fn token(&self, subject: &str, scopes: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.keelson);
        command.args(["token", "issue", "--lifetime", "12h", "--subject", subject]);
        command.args(scopes.iter().flat_map(|scope| ["--scope", *scope]));
        let output = command.env_clear().env("JWT_SECRET_KEY", API_TOKEN).output()?;
        ensure!(output.status.success(), "no token: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// One of our own peers, on the core of the servers.
    pub(crate) fn peer(&self, name: &str, args: &[&str]) -> Result<(Launch, SocketAddr)> {
        let port = free_port()?;
        let launch = self.client(name, &[args, &["--port", &port.to_string()]].concat(), (local(port), "/"));
        Ok((launch, local(port)))
    }

    /// The same where nobody listens: it works as soon as somebody else serves.
    pub(crate) fn client(&self, name: &str, args: &[&str], ready: (SocketAddr, &'static str)) -> Launch {
        let mut command = vec![self.own.display().to_string(), "peer".to_owned()];
        command.extend(args.iter().map(|&arg| arg.to_owned()));
        Launch {
            name: name.to_owned(),
            cores: self.cores.server.to_string(),
            command,
            env: Vec::new(),
            output: self.output(name),
            ready,
        }
    }

    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{}.log", name.replace(' ', "-")))
    }

    /// A folder on the disk that is not there yet.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.disk.join(name);
        remove(&path)?;
        Ok(path)
    }
}

/// Removes a folder with all that is in it, if there is one.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("{}", path.display()))?;
    }
    Ok(())
}
