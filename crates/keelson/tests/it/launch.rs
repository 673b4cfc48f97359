//! What is started: the real binary with a cleaned environment and free ports, on a folder of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use crate::disks::below;
use crate::system::System;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_keelson");

/// A token that production takes.
pub(crate) const STRONG_TOKEN: &str = "0123456789abcdef0123456789abcdef-strong";

/// What is started, on which folder and with which environment; started again it finds what was left there.
#[derive(Clone)]
pub(crate) struct Launch {
    folder: Arc<TempDir>,
    /// Through which the test sees the files of the system.
    root: PathBuf,
    program: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Launch {
    /// `keelson up --json`.
    pub(crate) fn up() -> Self {
        Self::new(&["up", "--json"])
    }

    /// The binary with these arguments, all ports free ones.
    pub(crate) fn new(args: &[&str]) -> Self {
        let launch = Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            root: "/".into(),
            program: vec![BINARY.to_owned()],
            args: owned(args),
            env: Vec::new(),
        };
        let ports = ["GATEWAY_PORT", "INGEST_PORT", "ARCHIVER_PORT", "USERS_PORT", "ORDERS_PORT", "ANALYTICS_PORT"];
        ports.iter().fold(launch, |launch, port| launch.env(port, "0"))
    }

    /// Sets a variable; a later value replaces an earlier one.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Unsets a variable.
    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// Other arguments on the same folder.
    pub(crate) fn args(&self, args: &[&str]) -> Self {
        Self { args: owned(args), ..self.clone() }
    }

    /// Another program in place of the binary, such as one that runs it.
    pub(crate) fn program(self, words: &[&str]) -> Self {
        Self { program: owned(words), ..self }
    }

    /// The system sees other disks than the test.
    pub(crate) fn seen_through(self, root: PathBuf) -> Self {
        Self { root, ..self }
    }

    /// The folder of the test. The system's own is [`Launch::data`] in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        below(&self.root, &self.path("data"))
    }

    /// What is started, for those who watch it themselves.
    pub(crate) fn command(&self) -> Command {
        let (program, words) = self.program.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(words).args(&self.args).env_clear().envs(coverage());
        command.env("KEELSON_DATA", self.path("data")).envs(self.env.iter().cloned());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Starts a system and waits until it says that it is ready.
    pub(crate) async fn start(&self) -> System {
        self.spawn().ready().await
    }

    /// Starts a system and does not wait.
    pub(crate) fn spawn(&self) -> System {
        let mut command = self.command();
        command.stdout(File::create(self.path("stdout")).unwrap()).stderr(File::create(self.path("stderr")).unwrap());
        System::new(self.clone(), command.spawn().unwrap())
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Children of a coverage run write their own profiles.
#[expect(clippy::disallowed_methods, reason = "tests run with what the coverage tool put into the environment")]
fn coverage() -> Option<(&'static str, std::ffi::OsString)> {
    std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file))
}
