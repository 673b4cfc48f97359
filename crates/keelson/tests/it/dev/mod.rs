//! `keelson dev`: what runs is replaced at every edit. Most tests build by a script in a moment; `sources` builds the
//! real thing.

mod end;
mod faults;
mod hand_over;
mod load;
mod mistakes;
mod sources;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::launch::{BINARY, Launch};
use crate::system::{System, eventually};

/// What is built of the source `serves NAME`: the binary under test, with a version that tells the builds apart. Every
/// build is a new file, as a linker leaves it.
const BUILD: &str = r#"
read -r verb name < app/src/main.rs
case "$verb" in
    serves) printf '#!/bin/sh\nSERVICE_VERSION=%s exec %s "$@"\n' "$name" "$KEELSON" > next ;;
    ends) printf '#!/bin/sh\nexit 3\n' > next ;;
    *) echo 'error: expected one of `serves` or `ends`' >&2; exit 1 ;;
esac
chmod +x next
mv next built
"#;

const MANIFEST: &str = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

/// Somebody who edits while the system runs.
struct Developer {
    system: System,
}

impl Developer {
    /// Waits until the first build serves.
    async fn start(source: &str) -> Self {
        Self::start_with(source, &[]).await
    }

    async fn start_with(source: &str, args: &[&str]) -> Self {
        let launch = launch(args);
        fs::write(launch.path("app/src/main.rs"), source).unwrap();
        let developer = Self { system: launch.spawn().listening().await };
        developer.says("ready in", 1).await;
        developer
    }

    fn edit(&self, source: &str) {
        fs::write(self.system.launch.path("app/src/main.rs"), source).unwrap();
    }

    /// Waits until `dev` has said this so often.
    async fn says(&self, text: &str, times: usize) {
        eventually(&format!("dev says {text:?} {times} times"), || (self.said(text).len() >= times).then_some(()))
            .await;
    }

    /// Its own lines with this text.
    fn said(&self, text: &str) -> Vec<String> {
        let log = self.system.stderr();
        log.lines().filter(|line| line.starts_with("dev  ") && line.contains(text)).map(str::to_owned).collect()
    }

    /// The process that serves, which is not the one that was started.
    fn serving(&self) -> u32 {
        let run: Value = serde_json::from_slice(&fs::read(self.system.data().join("run.json")).unwrap()).unwrap();
        run["pid"].as_u64().unwrap().try_into().unwrap()
    }

    /// What `GET /health` says of the build.
    async fn version(&self) -> String {
        let answer = crate::system::Answer::of(self.system.get("users", "/health")).await;
        answer.json()["version"].as_str().unwrap().to_owned()
    }
}

/// `keelson dev` on a small workspace, not started.
fn launch(args: &[&str]) -> Launch {
    let build = ["dev", "--build", "sh build.sh", "--executable", "built"];
    let launch = with_cargo(Launch::new(&[&build, args].concat())).env("KEELSON", BINARY);
    fs::create_dir_all(launch.path("app/src")).unwrap();
    fs::write(launch.path("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = [\"app\"]\n").unwrap();
    fs::write(launch.path("app/Cargo.toml"), MANIFEST).unwrap();
    fs::write(launch.path("app/src/main.rs"), "serves first\n").unwrap();
    fs::write(launch.path("build.sh"), BUILD).unwrap();
    launch
}

/// The environment has cargo, as the one of the test has.
#[expect(
    clippy::disallowed_methods,
    reason = "where cargo and the toolchain are is the affair of whoever runs the test"
)]
fn with_cargo(launch: Launch) -> Launch {
    let names = ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
    let set = names.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
    set.fold(launch, |launch, (name, value)| launch.env(name, &value))
}

/// Whether there is such a process, one that ended and was not waited for aside.
fn runs(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// The gap of a hand-over, as `dev` says it.
fn gap(line: &str) -> Duration {
    let text = line.split("handed over in ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let (number, unit) = text.split_once(' ').unwrap();
    Duration::from_secs_f64(number.parse::<f64>().unwrap() / if unit == "ms" { 1000.0 } else { 1.0 })
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
