//! One build: cargo, or the command of `--build`.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::process::Command;

use super::workspace::{PACKAGE, no_cargo};
use crate::failure::Failure;

/// How the program is built.
#[derive(Debug)]
pub(super) enum Builder {
    /// With these options of `cargo build`.
    Cargo(Vec<String>),
    /// By a command of the shell that leaves it in a file.
    Shell { command: String, executable: PathBuf },
}

/// What cargo says of each thing that it has built, as far as it is needed.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Builder {
    pub(super) fn new(shell: Option<(String, PathBuf)>, options: &[String]) -> Self {
        match shell {
            Some((command, executable)) => Self::Shell { command, executable },
            None => Self::Cargo(options.to_vec()),
        }
    }

    /// Builds. What is wrong with the sources goes to standard error, in the words of the compiler, and then there is
    /// no program. Ends with all its processes when the wait is given up.
    pub(super) async fn build(&self) -> Result<Option<PathBuf>, Failure> {
        let mut command = self.command();
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(|error| match self {
            Self::Cargo(_) => no_cargo(&error),
            Self::Shell { .. } => Failure::failed(format!("the shell cannot be run: {error}")),
        })?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let output = child.wait_with_output().await;
        group.has_ended();
        let output = output.map_err(|error| Failure::failed(format!("the build cannot be followed: {error}")))?;
        if !output.status.success() {
            return Ok(None);
        }
        match self {
            Self::Shell { executable, .. } => Ok(Some(executable.clone())),
            Self::Cargo(_) => executable(&output.stdout).map(Some).ok_or_else(|| {
                Failure::failed(format!("cargo has built, and names no program `{PACKAGE}`: is `--no-run`, `--lib` or the like among the options?"))
            }),
        }
    }

    fn command(&self) -> Command {
        match self {
            Self::Cargo(options) => {
                let mut cargo = Command::new("cargo");
                cargo.args(["build", "--package", PACKAGE, "--bin", PACKAGE]);
                cargo.arg("--message-format=json-render-diagnostics").args(options).stdout(Stdio::piped());
                cargo
            }
            Self::Shell { command, .. } => {
                let mut shell = Command::new("sh");
                // Standard output is what the services say.
                shell.args(["-c", command.as_str()]).stdout(io::stderr());
                shell
            }
        }
    }
}

/// Where cargo put the program.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|&byte| byte == b'\n');
    let messages = messages.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
    let is_program = |message: &Message| message.target.name == PACKAGE && message.target.kind == ["bin"];
    messages.filter(is_program).filter_map(|message| message.executable).next_back()
}

/// Processes that are to end together, such as cargo and its compilers.
struct Group(Option<Pid>);

impl Group {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // They may have ended just now.
            let _ = kill_process_group(leader, Signal::TERM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_what_cargo_has_built() {
        let messages = br#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"keelson"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"aws-fake"},"executable":"/t/debug/aws-fake"}
{"reason":"build-script-executed","package_id":"a"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"keelson"},"executable":"/t/debug/keelson"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages), Some("/t/debug/keelson".into()));
        assert_eq!(executable(b"{\"reason\":\"build-finished\",\"success\":true}\n"), None);
    }

    #[tokio::test]
    async fn a_build_that_is_given_up_ends_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let command = format!("(sleep 0.5; touch {0}) & touch {0}.begun; wait", mark.display());
        let builder = Builder::Shell { command, executable: mark.clone() };
        let begun = folder.path().join("mark.begun");
        tokio::select! {
            _ = builder.build() => panic!("it has ended"),
            () = async { while !begun.exists() { tokio::time::sleep(std::time::Duration::from_millis(5)).await } } => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(800)).await;
        assert!(!mark.exists(), "a process of the build went on");
    }
}
