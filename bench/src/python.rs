//! The peers in Python, on the core of the servers. Their programs are in `bench/peers`.

use std::net::SocketAddr;

use anyhow::Result;

use crate::bench::Bench;
use crate::server::{Launch, free_port, local};

/// `PROGRAM_app.py` under gunicorn with a configuration, one worker. `None` where there is no Python for it.
pub(crate) fn gunicorn(
    bench: &mut Bench,
    name: &str,
    program: &str,
    config: &str,
    env: &[(String, String)],
) -> Result<Option<(Launch, SocketAddr)>> {
    let address = local(free_port()?);
    let (config, folder) = (bench.peers.join(config).display().to_string(), bench.peers.display().to_string());
    let (bind, app) = (address.to_string(), format!("{program}_app:app"));
    let words = ["-m", "gunicorn", "--config", &config, "--chdir", &folder, "--bind", &bind, &app];
    Ok(python(bench, name, &words, env, address))
}

/// `PROGRAM_app.py` by itself, which listens where the environment's `PORT` says. `None` where there is no Python for it.
pub(crate) fn program(
    bench: &mut Bench,
    name: &str,
    program: &str,
    env: &[(String, String)],
) -> Result<Option<(Launch, SocketAddr)>> {
    let address = local(free_port()?);
    let file = bench.peers.join(format!("{program}_app.py")).display().to_string();
    let env = [env, &[("PORT".to_owned(), address.port().to_string())]].concat();
    Ok(python(bench, name, &[&file], &env, address))
}

fn python(
    bench: &mut Bench,
    name: &str,
    words: &[&str],
    env: &[(String, String)],
    address: SocketAddr,
) -> Option<(Launch, SocketAddr)> {
    let Some(python) = &bench.python else {
        let remedy = "no Python with its packages: bench/run makes one with python3 -m venv and network access";
        bench.report.skip(name, remedy);
        return None;
    };
    let mut command = vec![python.display().to_string()];
    command.extend(words.iter().map(|&word| word.to_owned()));
    let mut env = env.to_vec();
    env.push(("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()));
    let launch = Launch {
        name: name.to_owned(),
        cores: bench.cores.server.to_string(),
        command,
        env,
        output: bench.output(name),
        ready: (address, "/health"),
    };
    Some((launch, address))
}
