//! `keelson up`: the whole system on this machine.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use backends::local::generated_secret_path;
use chassis::run::{InheritedSockets, Listening};
use serde_json::json;

use super::process::Process;
use crate::cli::{Common, ServiceName, UpArgs};
use crate::failure::Failure;
use crate::output::{bold, color_on, print, print_line};
use crate::settings::{self, Mode};
use crate::wire::API_TOKEN_FILE;

/// Runs every service until a signal.
pub(crate) async fn run(common: &Common, args: &UpArgs, inherited: InheritedSockets) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let layers = settings::load(common, &args.listen, None)?;
    let process = Process::start(&layers, Mode::Up, ServiceName::ALL, inherited).await?.started_by(args.starter);
    let ready = Ready {
        listening: process.bound.listening(),
        services: process.run_file.services.clone(),
        token_file: process
            .run_file
            .api_token_file
            .is_some()
            .then(|| generated_secret_path(&process.settings.data, API_TOKEN_FILE)),
        data: process.settings.data.clone(),
    };
    let json = args.json;
    process.run(move || if json { print_line(&ready.to_json()) } else { print(&ready.to_text(begun.elapsed())) }).await
}

/// What is said when all services are ready. Paths are shown as they were given.
struct Ready {
    listening: Vec<Listening>,
    services: BTreeMap<String, String>,
    token_file: Option<PathBuf>,
    data: PathBuf,
}

impl Ready {
    fn to_json(&self) -> String {
        json!({ "ready": true, "services": self.services, "data": self.data, "api_token_file": self.token_file })
            .to_string()
    }

    /// The first line starts with `ready`. The token is shown to a person at a terminal, never to a file or a pipe.
    fn to_text(&self, took: Duration) -> String {
        let color = color_on(&io::stdout());
        let mut text = format!("{} in {} ms, Ctrl-C stops it\n\n", bold("ready", color), took.as_millis());
        let mut row = |name: &str, value: String| text.push_str(&format!("  {name:<10} {value}\n"));
        for Listening { identity, .. } in &self.listening {
            row(identity.short_name, format!("{}  {}", self.services[identity.short_name], identity.about));
        }
        row("data", self.data.display().to_string());
        if let Some(file) = &self.token_file {
            let shown = std::fs::read_to_string(file).ok().filter(|_| io::stdout().is_terminal());
            row("token", shown.map_or(file.display().to_string(), |token| token.trim().to_owned()));
        }
        let [gateway, users, ingest] = ["gateway", "users", "ingest"].map(|name| self.services.get(name));
        if let (Some(gateway), Some(users), Some(ingest)) = (gateway, users, ingest) {
            text.push_str(&format!("\n{}\n{}", bold("Try", color), self.examples(gateway, users, ingest)));
        }
        text.push('\n');
        text
    }

    fn examples(&self, gateway: &str, users: &str, ingest: &str) -> String {
        let (data, program) = (self.data.display(), program());
        let token =
            self.token_file.as_ref().map_or("$API_TOKEN".to_owned(), |file| format!("$(cat {})", file.display()));
        let folder = if self.data == Path::new("./keelson-data") { String::new() } else { format!(" --data {data}") };
        format!(
            "  curl {gateway}/api/message -H 'Content-Type: application/json' \\\n    \
             -d '{{\"token\":\"'\"{token}\"'\",\"data\":{{\"email_subject\":\"Hello\",\"email_sender\":\"Ann\",\
             \"email_timestream\":\"1693561101\",\"email_content\":\"Hi!\"}}}}'\n  \
             find {data}/objects -name '*.json' | xargs tail -n +1     what is stored\n  \
             {program} e2e{folder}     sends a message and finds it stored\n  \
             curl {gateway}/api/v1/users/register -H 'Content-Type: application/json' \\\n    \
             -d '{{\"username\":\"ann\",\"email\":\"ann@example.com\",\"password\":\"one of your own\"}}'\n  \
             curl {gateway}/api/v1/analytics/stats     what happened\n\n  \
             API in a browser: {users}/docs and {ingest}/docs\n"
        )
    }
}

/// How whoever reads it calls this program: out of its sources, or by its name.
fn program() -> String {
    let name = std::env::args_os().next().map_or_else(|| "keelson".into(), PathBuf::from);
    let is_built_here = name.iter().any(|folder| folder == "target");
    if is_built_here { "cargo run --".to_owned() } else { name.display().to_string() }
}
