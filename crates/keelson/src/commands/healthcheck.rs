//! `keelson healthcheck`: for containers, scripts and people.

use chassis::config::{Layers, Reader};
use serde_json::Value;

use super::http_client::{no_answer, probe, tls_of};
use crate::cli::{Common, HealthcheckArgs, ListenArgs};
use crate::failure::Failure;
use crate::output::print_line;
use crate::run_file::RunFile;
use crate::settings;

/// Asks each service whether it is ready.
pub(crate) async fn run(common: &Common, args: &HealthcheckArgs) -> Result<(), Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let tls = tls_of(&layers)?;
    let client = probe(&tls)?;
    let mut unanswered = None;
    let mut unready = Vec::new();
    for url in targets(&layers, tls.scheme(), args)? {
        let answer = match client.get(&url).send().await {
            Ok(answer) => answer,
            Err(error) => {
                print_line(&format!("{url} no answer"));
                unanswered.get_or_insert(no_answer(&url, &error));
                continue;
            }
        };
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        print_line(&format!("{url} {} {}", status.as_u16(), body["status"].as_str().unwrap_or("no status")));
        if !status.is_success() {
            unready.push(url);
        }
    }
    match unanswered {
        Some(failure) => Err(failure),
        None if unready.is_empty() => Ok(()),
        None => Err(Failure::failed(format!("not ready: {}", unready.join(", ")))),
    }
}

fn targets(layers: &Layers, scheme: &str, args: &HealthcheckArgs) -> Result<Vec<String>, Failure> {
    if let Some(url) = &args.url {
        let with_scheme = if url.contains("://") { url.clone() } else { format!("{scheme}://{url}") };
        return match with_scheme.parse::<reqwest::Url>() {
            Ok(url) => Ok(vec![url.to_string()]),
            Err(error) => Err(Failure::usage(format!("{url:?} is no URL: {error}"))),
        };
    }
    if let Some(port) = Reader::new(layers).get_optional(&settings::SERVICE_PORT) {
        return Ok(vec![format!("{scheme}://127.0.0.1:{}/health/ready", port.0)]);
    }
    let running = RunFile::find(&settings::data_folder(layers))?;
    Ok(running.services.values().map(|address| format!("{address}/health/ready")).collect())
}
