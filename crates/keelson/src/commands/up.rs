//! `keelson up`: the whole system on this machine.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use backends::local::random_secret;
use chassis::run::Listening;
use secrecy::ExposeSecret;
use serde_json::json;
use std::io::{self, IsTerminal};

use crate::cli::{Common, ServiceName, UpArgs};
use crate::commands::serve::Process;
use crate::failure::Failure;
use crate::output::{bold, color_on, print, print_line};
use crate::run_file::{RunFile, reachable};
use crate::settings::{self, Mode};
use crate::wire::API_TOKEN_FILE;

/// Runs every service until a signal.
pub(crate) async fn run(common: &Common, args: &UpArgs) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let layers = settings::load(common, &args.listen, None)?;
    let operator_token = random_secret()?;
    let process = Process::start(&layers, Mode::Up, ServiceName::ALL, Some(operator_token.clone())).await?;

    let data = process.settings.data.clone();
    let listening = process.bound.listening();
    let generated = process.settings.ingest.api_token.is_none();
    let run_file = RunFile {
        pid: std::process::id(),
        services: reachable(&listening),
        operator_token: operator_token.expose_secret().to_owned(),
        api_token_file: generated.then(|| data.join("secrets").join(API_TOKEN_FILE)),
    };
    let announced = run_file.announce(&data).map_err(|error| {
        Failure::unavailable(format!("{} cannot be written: {error}", data.join("run.json").display()))
    })?;
    let json = args.json;
    let ending = process
        .run(move || {
            if json {
                print_line(&ready_json(&run_file, &data));
            } else {
                print(&ready_text(&run_file, &listening, &data, begun.elapsed()));
            }
        })
        .await;
    drop(announced);
    ending
}

fn ready_json(run: &RunFile, data: &Path) -> String {
    json!({
        "ready": true,
        "services": run.services,
        "data": data,
        "api_token_file": run.api_token_file,
    })
    .to_string()
}

/// The first line starts with `ready`. The token is shown to a person at a terminal, never to a file or a pipe.
fn ready_text(run: &RunFile, listening: &[Listening], data: &Path, took: Duration) -> String {
    let color = color_on(&io::stdout());
    let mut text = format!("{} in {} ms, Ctrl-C stops it\n\n", bold("ready", color), took.as_millis());
    for service in listening {
        let (name, url) = (service.identity.short_name, &run.services[service.identity.short_name]);
        text.push_str(&format!("  {name:<10} {url}  {}\n", service.identity.about));
    }
    text.push_str(&format!("  {:<10} {}\n", "data", data.display()));
    let token_file = run.api_token_file.as_ref().map(|path| path.display().to_string());
    if let Some(file) = &token_file {
        let shown = std::fs::read_to_string(file).ok().filter(|_| io::stdout().is_terminal());
        text.push_str(&format!("  {:<10} {}\n", "token", shown.as_deref().map_or(file.as_str(), str::trim)));
    }
    if let Some(ingest) = run.services.get("ingest") {
        let token = token_file.map_or("$API_TOKEN".to_owned(), |file| format!("$(cat {file})"));
        let folder =
            if data == Path::new("./keelson-data") { String::new() } else { format!(" --data {}", data.display()) };
        let body = format!(
            "{{\"token\":\"'\"{token}\"'\",\"data\":{{\"email_subject\":\"Hello\",\"email_sender\":\"Ann\",\"email_timestream\":\"1693561101\",\"email_content\":\"Hi!\"}}}}"
        );
        text.push_str(&format!("\n{}\n", bold("Try", color)));
        text.push_str(&format!(
            "  curl {ingest}/api/message -H 'Content-Type: application/json' \\\n    -d '{body}'\n"
        ));
        text.push_str(&format!(
            "  find {}/objects -name '*.json' | xargs tail -n +1     what is stored\n",
            data.display()
        ));
        text.push_str(&format!("  cargo run -- e2e{folder}     sends a message and finds it stored\n"));
        text.push_str(&format!("\n  API in a browser: {ingest}/docs\n"));
    }
    text.push('\n');
    text
}
