//! PostgreSQL on this machine, started when first asked for. The tests of other crates share this file, so it knows no
//! driver.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use chassis::testing::{require, require_tool};

/// A running server. It ends with its standard input, so with the process that holds this.
#[derive(Debug)]
pub(crate) struct Server {
    child: Mutex<Child>,
    line: Mutex<(Option<ChildStdin>, BufReader<ChildStdout>)>,
    pub(crate) port: u16,
}

impl Server {
    /// `None`, after saying so, where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_on(None)
    }

    /// With its tables on a disk in memory of this size, such as `96m`. `None`, after saying so, where it is not
    /// installed, or nothing can be mounted.
    pub(crate) fn start_on(disk: Option<&str>) -> Option<Self> {
        let programs = programs();
        if !require("PostgreSQL (./test finds or installs it, see scripts/tools.sh)", programs.is_some()) {
            return None;
        }
        let mut child = python(disk.is_some())?
            .args(["-c", include_str!("server.py")])
            .arg(programs?)
            .args(disk)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut output = BufReader::new(output);
        let mut port = String::new();
        output.read_line(&mut port).unwrap();
        if disk.is_some() && port == "no mount\n" {
            child.wait().unwrap();
            let _skipped = require("the right to mount a disk", false);
            return None;
        }
        let port = port.trim().parse().expect("PostgreSQL starts; what it said stands above");
        Some(Self { child: Mutex::new(child), line: Mutex::new((Some(input), output)), port })
    }

    /// The URL of a database in it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Stops and continues it: `freeze`, `thaw`, `restart`, `crash`, `down`, `up`; `fill` and `free` are for a disk of
    /// its own. Returns when that is done.
    pub(crate) fn control(&self, command: &str) {
        assert_eq!(self.ask(command), "ok", "{command}");
    }

    /// The same, or `sql DATABASE STATEMENT`; what it answers: `ok`, or what the server says against the statement.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(line.0.as_mut().unwrap(), "{command}").unwrap();
        let mut answer = String::new();
        line.1.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends the server and removes its files.
        self.line.lock().unwrap_or_else(PoisonError::into_inner).0 = None;
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// Where it can mount a disk that nobody else sees, and that ends with it.
fn python(mounts: bool) -> Option<Command> {
    if !mounts {
        return Some(Command::new("python3"));
    }
    let mut command = Command::new(require_tool("unshare")?);
    let is_root = Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0);
    command.arg("--mount").args((!is_root).then_some("--map-root-user")).arg("python3");
    Some(command)
}

/// The folder of its programs: that of the newest version of Debian's packages, of the path, or of `.tools`.
pub(crate) fn programs() -> Option<PathBuf> {
    let has_server = |folder: &PathBuf| folder.join("postgres").is_file() && folder.join("initdb").is_file();
    let mut versions: Vec<PathBuf> = Path::new("/usr/lib/postgresql")
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(has_server)
        .collect();
    versions.sort();
    let newest = versions.pop();
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/postgres/bin");
    newest.or_else(in_path).or_else(|| Some(installed()).filter(has_server))
}

#[expect(clippy::disallowed_methods, reason = "tests run with what the test command put into the environment")]
fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())
}
