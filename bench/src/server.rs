//! A server that is measured: started on its core, waited for, asked by a closed loop, ended.

use std::fs::{File, OpenOptions};
use std::iter;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::load::closed::{Closed, Until};
use crate::load::{Target, get, once};
use crate::paired::{Contestant, Slice};
use crate::system::{CpuTime, pause, search_path, terminate};

/// How long a server may take to start, also under an instrument.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END: Duration = Duration::from_secs(30);
/// What a slice runs before it counts, so that connections are made and their threads awake.
const RUN_UP: Duration = Duration::from_millis(100);

/// A port that is free now, below those that systems give to clients: whoever asks one of these before anybody listens
/// there may be given that very port, and meets itself.
pub(crate) fn free_port() -> Result<u16> {
    let mut random = StdRng::from_os_rng();
    let mut ports = iter::repeat_with(|| random.random_range(10_000..32_768)).take(1000);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.find(is_free).context("of a thousand ports from 10000 to 32767 none is free")
}

pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// What is started, and how one sees that it serves.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) name: String,
    /// Where it may run, as `taskset` takes it.
    pub(crate) cores: String,
    /// The program and its arguments; an instrument may stand before it.
    pub(crate) command: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Where its standard output and error go.
    pub(crate) output: PathBuf,
    /// Where a GET is answered 200 when it serves.
    pub(crate) ready: (SocketAddr, &'static str),
}

impl Launch {
    /// Starts it and waits until it serves.
    pub(crate) fn start(&self) -> Result<Server> {
        let server = self.spawn()?;
        server.wait_until_ready(self)?;
        Ok(server)
    }

    /// Starts it with an environment of its own.
    pub(crate) fn spawn(&self) -> Result<Server> {
        let output = OpenOptions::new().create(true).append(true).open(&self.output)?;
        let mut command = Command::new("taskset");
        command
            .args(["--cpu-list", &self.cores])
            .args(&self.command)
            .env_clear()
            .envs(search_path().map(|path| ("PATH", path)));
        command.envs(self.env.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output.try_clone()?);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.command.join(" ")))?;
        Ok(Server { name: self.name.clone(), child, output })
    }
}

/// A running server; it ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    child: Child,
    output: File,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_ready(&self, launch: &Launch) -> Result<()> {
        let (address, path) = launch.ready;
        let deadline = Instant::now() + START;
        while !once::ask(address, &get(path, None)).is_ok_and(|answer| answer.status == 200) {
            if Instant::now() > deadline {
                bail!("{} is not ready after {START:?}; its output is in {}", self.name, launch.output.display());
            }
            pause(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Throws away what it logged, so that no disk or memory fills up.
    pub(crate) fn forget_output(&self) -> Result<()> {
        Ok(self.output.set_len(0)?)
    }

    /// Ends it like an operator would.
    pub(crate) fn stop(self) -> Result<ExitStatus> {
        terminate(self.pid())?;
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} does not end", self.name);
            }
            pause(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    /// A master process needs a moment to take its workers with it.
    fn drop(&mut self) {
        let _ended = terminate(self.pid());
        for _ in 0..100 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            pause(Duration::from_millis(10));
        }
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// A server with the load that it gets in each slice.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) server: Server,
    pub(crate) target: Target,
    pub(crate) connections: usize,
}

impl Contestant for Loaded {
    fn name(&self) -> &str {
        &self.server.name
    }

    fn slice(&mut self, length: Duration) -> Result<Slice> {
        let mut load = Closed::connect(&self.target, self.connections)?;
        load.run(Until::Over(RUN_UP))?;
        let before = CpuTime::of(self.server.pid())?;
        let answers = load.run(Until::Over(length))?;
        let after = CpuTime::of(self.server.pid())?;
        load.finish()?;
        self.server.forget_output()?;
        let cpu = Duration::from_nanos(after.since(&before));
        Ok(Slice { done: answers.count, cpu, wall: answers.took, ..Slice::default() })
    }
}
