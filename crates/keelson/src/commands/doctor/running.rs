//! The system that runs here: whether it is ready, and what it has measured.

use std::path::Path;

use chassis::config::TlsConfig;
use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;

use super::report::Check;
use super::work::Work;
use crate::commands::http_client::{client, get};
use crate::failure::Failure;
use crate::run_file::RunFile;

const RUNNING: &str = "running";

/// What was found.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) check: Check,
    /// Deliveries of an archiver, or why there are none.
    pub(super) work: Result<Work, String>,
}

/// Asks the system that runs on the folder, and the archiver that is named.
pub(super) async fn look(data: &Path, archiver: Option<&str>, tls: &TlsConfig) -> Result<Seen, Failure> {
    let client = client(tls)?;
    let run = RunFile::look(data);
    let running = run.as_ref().ok().and_then(Option::as_ref);
    let found = running.and_then(|running| running.operators_address("archiver").ok());
    let (check, work) =
        tokio::join!(readiness(&client, data, &run), work(&client, archiver.or(found).map(str::to_owned)));
    Ok(Seen { check, work })
}

async fn readiness(client: &Client, data: &Path, run: &Result<Option<RunFile>, Failure>) -> Check {
    let running = match run {
        Ok(Some(running)) => running,
        Ok(None) => return Check::not_checked(RUNNING, format!("nothing runs on {}", data.display())),
        Err(error) => return Check::not_checked(RUNNING, error.to_string()),
    };
    // At once: each that hangs takes its whole time.
    let answers = running.services.iter().map(|(service, address)| async move {
        (service, address, get(client, &format!("{address}/health/ready")).await)
    });
    let mut said = Vec::new();
    let (mut unready, mut silent, mut degraded) = (false, false, false);
    for (service, address, answer) in join_all(answers).await {
        match answer {
            Ok((_, body)) => {
                let body: Value = serde_json::from_str(&body).unwrap_or_default();
                let status = body["status"].as_str().unwrap_or("of no known state");
                unready |= !matches!(status, "ready" | "degraded");
                degraded |= status == "degraded";
                said.push(format!("{service} is {status}{}", down(&body)));
            }
            Err(why) => {
                silent = true;
                said.push(format!("{service} at {address}: {why}"));
            }
        }
    }
    let text = format!("process {}: {}", running.pid, said.join(", "));
    if silent {
        Check::failed(RUNNING, text, "it was killed or hangs: look into its log, start it again")
    } else if unready {
        Check::failed(RUNNING, text, "its log says why, once, when a dependency goes down")
    } else if degraded {
        Check::warning(RUNNING, text, "its log says why, once, when a dependency goes down")
    } else {
        Check::ok(RUNNING, text)
    }
}

/// The dependencies that are not up.
fn down(body: &Value) -> String {
    let all = body["dependencies"].as_object().into_iter().flatten();
    let names: Vec<&str> = all.filter(|(_, it)| it["status"] != "up").map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!(" ({} down)", names.join(" and ")) }
}

async fn work(client: &Client, address: Option<String>) -> Result<Work, String> {
    let address = address.ok_or("no archiver runs here, and --archiver names none")?;
    let url = format!("{address}/metrics");
    match get(client, &url).await {
        Ok((200, page)) => Work::read(&page, &url).ok_or_else(|| format!("{url} tells of no delivery yet")),
        Ok((status, _)) => Err(format!("{url} answered {status}; in production metrics are on the internal port")),
        Err(why) => Err(format!("{url}: {why}")),
    }
}
