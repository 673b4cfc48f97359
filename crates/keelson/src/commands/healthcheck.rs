//! `keelson healthcheck`: for containers, scripts and people.

use std::net::Ipv4Addr;

use chassis::config::{ChassisConfig, Layers, Reader};
use serde_json::Value;
use tokio::net::TcpStream;

use super::http_client::{no_answer, probe, tls_of};
use crate::cli::{Common, HealthcheckArgs, ListenArgs, ServiceName};
use crate::failure::Failure;
use crate::output::print_line;
use crate::run_file::{RunFile, nothing_runs};
use crate::settings;

/// Asks each service whether it is ready.
pub(crate) async fn run(common: &Common, args: &HealthcheckArgs) -> Result<(), Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let tls = tls_of(&layers)?;
    let client = probe(&tls)?;
    let mut unanswered = None;
    let mut unready = Vec::new();
    for url in targets(&layers, tls.scheme(), args).await? {
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

async fn targets(layers: &Layers, scheme: &str, args: &HealthcheckArgs) -> Result<Vec<String>, Failure> {
    if let Some(url) = &args.url {
        let with_scheme = if url.contains("://") { url.clone() } else { format!("{scheme}://{url}") };
        return match with_scheme.parse::<reqwest::Url>() {
            Ok(url) => Ok(vec![url.to_string()]),
            Err(error) => Err(Failure::usage(format!("{url:?} is no URL: {error}"))),
        };
    }
    let on_this_machine = |port: u16| format!("{scheme}://{}:{port}/health/ready", Ipv4Addr::LOCALHOST);
    if let Some(port) = Reader::new(layers).get_optional(&settings::SERVICE_PORT) {
        return Ok(vec![on_this_machine(port.0)]);
    }
    let data = settings::data_folder(layers);
    if let Some(running) = RunFile::look(&data)? {
        return Ok(running.services.values().map(|address| format!("{address}/health/ready")).collect());
    }
    // A gateway, or services whose stores are elsewhere, own no folder to tell in where they are.
    let ports = listening(layers).await?;
    if ports.is_empty() { Err(nothing_runs(&data)) } else { Ok(ports.into_iter().map(on_this_machine).collect()) }
}

/// The ports of the settings at which something listens: those for operators where there are such, which count up in one
/// process, else each service's own.
async fn listening(layers: &Layers) -> Result<Vec<u16>, Failure> {
    let services = ServiceName::ALL;
    let mut found = Vec::new();
    let Some(first) = ChassisConfig::internal_port(layers)?.filter(|&port| port != 0) else {
        for port in settings::service_ports(layers, services)? {
            if is_open(port).await {
                found.push(port);
            }
        }
        return Ok(found);
    };
    for port in (first..=u16::MAX).take(services.len()) {
        if !is_open(port).await {
            break;
        }
        found.push(port);
    }
    Ok(found)
}

async fn is_open(port: u16) -> bool {
    port != 0 && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok()
}
