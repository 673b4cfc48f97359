//! The peers in Python: each under gunicorn, with one worker on the core of the servers.

use std::net::SocketAddr;

use anyhow::Result;

use crate::bench::Bench;
use crate::server::{Launch, free_port, local};

/// `NAME_app.py` with a configuration of gunicorn; both are in `bench/peers`. `None` where there is no Python for it.
pub(crate) fn gunicorn(
    bench: &mut Bench,
    name: &str,
    config: &str,
    env: &[(String, String)],
) -> Result<Option<(Launch, SocketAddr)>> {
    let Some(python) = &bench.python else {
        let remedy = "no Python with its packages: bench/run makes one with python3 -m venv and network access";
        bench.report.skip(name, remedy);
        return Ok(None);
    };
    let address = local(free_port()?);
    let words = [
        &python.display().to_string(),
        "-m",
        "gunicorn",
        "--config",
        &bench.peers.join(config).display().to_string(),
        "--chdir",
        &bench.peers.display().to_string(),
        "--bind",
        &address.to_string(),
        &format!("{name}_app:app"),
    ];
    let mut env = env.to_vec();
    env.push(("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()));
    let launch = Launch {
        name: name.to_owned(),
        cores: bench.cores.server.to_string(),
        command: words.map(str::to_owned).to_vec(),
        env,
        output: bench.output(name),
        ready: (address, "/health"),
    };
    Ok(Some((launch, address)))
}
