//! `DIR/run.json`: how other commands find the system that runs on a data folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chassis::run::Listening;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const NAME: &str = "run.json";

/// Readable by its owner alone: it holds the operator's token.
const MODE: u32 = 0o600;

/// A running system. Not to be printed: it holds a token.
#[derive(Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Its process.
    pub(crate) pid: u32,
    /// Where services listen, by short name.
    pub(crate) services: BTreeMap<String, String>,
    /// Where they listen for operators, when that is elsewhere.
    #[serde(default)]
    pub(crate) operators: BTreeMap<String, String>,
    /// What `/ops/v1` asks for.
    pub(crate) operator_token: String,
    /// Where the generated ingest token is; `None` when `API_TOKEN` was set.
    pub(crate) api_token_file: Option<PathBuf>,
    /// Where it stores objects.
    pub(crate) objects_url: String,
    /// How long messages wait for their roll-up, when it makes such.
    #[serde(default)]
    pub(crate) rollup_age_seconds: Option<f64>,
}

/// Removes the file when the system ends.
#[derive(Debug)]
pub(crate) struct Announced {
    path: PathBuf,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl RunFile {
    /// Writes the file, whole or not at all.
    pub(crate) fn announce(&self, data: &Path) -> Result<Announced, Failure> {
        let path = data.join(NAME);
        match self.write(&path, &data.join(".run.json.part")) {
            Ok(()) => Ok(Announced { path }),
            Err(error) => Err(Failure::unavailable(format!("{} cannot be written: {error}", path.display()))),
        }
    }

    fn write(&self, path: &Path, part: &Path) -> io::Result<()> {
        let _left_over = fs::remove_file(part);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(part)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        fs::rename(part, path)
    }

    /// Finds the system that runs on a folder.
    pub(crate) fn find(data: &Path) -> Result<Self, Failure> {
        Self::look(data)?.ok_or_else(|| nothing_runs(data))
    }

    /// The file, when there is one. A process that was killed leaves it.
    pub(crate) fn look(data: &Path) -> Result<Option<Self>, Failure> {
        let path = data.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::unavailable(format!("{} cannot be read: {error}", path.display()))),
        };
        let read = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::unavailable(format!("{} is not what `keelson up` writes: {error}", path.display()))
        })?;
        Ok(Some(read))
    }

    /// Removes what a process that was killed left. For the owner of the folder alone.
    pub(crate) fn remove(data: &Path) {
        let _ = fs::remove_file(data.join(NAME));
    }

    /// Where a service of the running system listens.
    pub(crate) fn address(&self, short_name: &str) -> Result<&str, Failure> {
        let address = self.services.get(short_name).map(String::as_str);
        address.ok_or_else(|| Failure::unavailable(format!("{short_name} is not part of the system that runs")))
    }

    /// Where a service of the running system has its `/ops/v1`.
    pub(crate) fn operators_address(&self, short_name: &str) -> Result<&str, Failure> {
        self.operators.get(short_name).map_or_else(|| self.address(short_name), |address| Ok(address))
    }
}

/// There is no system, and none that was.
pub(crate) fn nothing_runs(data: &Path) -> Failure {
    Failure::unavailable(format!(
        "nothing runs on {}: start `keelson up`, or name its folder with --data",
        data.display()
    ))
}

/// Addresses for callers, as a client reaches them.
pub(crate) fn reachable(listening: &[Listening]) -> BTreeMap<String, String> {
    listening.iter().map(|it| (it.identity.short_name.to_owned(), url(it.scheme, it.address))).collect()
}

/// Addresses for operators, of services that have such.
pub(crate) fn reachable_by_operators(listening: &[Listening]) -> BTreeMap<String, String> {
    listening.iter().filter_map(|it| Some((it.identity.short_name.to_owned(), url(it.scheme, it.internal?)))).collect()
}

/// A listener on every address is reached on this machine.
pub(crate) fn url(scheme: &str, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        let own = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(own);
    }
    format!("{scheme}://{address}")
}
