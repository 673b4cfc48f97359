//! `keelson cost`: what AWS has cost, what it will cost, and what would cost less.

mod forecast;
mod report;

use std::collections::BTreeMap;

use backends::aws::{Bill, Prices};
use reqwest::Client;
use serde_json::Value;

use self::forecast::Forecast;
use self::report::Report;
use crate::cli::{Common, CostArgs, ListenArgs};
use crate::commands::http_client::{address, client, get};
use crate::failure::Failure;
use crate::output::print_notice;
use crate::run_file::RunFile;
use crate::settings::{self, Mode, Settings};

/// Requests that extend leases.
const HEARTBEAT: &str = "ChangeMessageVisibilityBatch";
const RECEIVE: &str = "ReceiveMessage";
const PUT: &str = "PutObject";

/// The member `cost` of `/status`. Every service of a process shows the same, and `process` tells that it does.
pub(crate) fn shown(bill: &Bill, prices: &Prices, process: &str) -> Value {
    let mut shown = report::shares(bill);
    shown["process"] = process.into();
    shown["prices_as_of"] = prices.as_of().to_string().into();
    shown
}

/// Reads the bills, works out the forecast, shows both.
pub(crate) async fn run(common: &Common, args: &CostArgs) -> Result<(), Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let settings = Settings::read(&layers, Mode::Up, &[])?;
    let addresses = addresses(&settings, args)?;
    let client = client(&settings.chassis.tls)?;
    let mut bills = BTreeMap::new();
    for address in &addresses {
        match ask(&client, address).await {
            Ok(Some((process, bill))) => drop(bills.insert(process, bill)),
            Ok(None) => {}
            // A process that was killed leaves its addresses behind, and the forecast needs none.
            Err(error) if args.processes.is_empty() => print_notice(&format!("not counted: {error}")),
            Err(error) => return Err(error),
        }
    }
    let processes = bills.len();
    let so_far = bills.into_values().reduce(|mut all, bill| {
        all.add(bill);
        all
    });
    let forecast = Forecast::of(&settings, args.message_bytes);
    let savings = forecast::savings(&forecast, &settings.aws_prices);
    let so_far = so_far.map(|bill| (bill, processes));
    let report = Report { so_far, forecast: &forecast, savings: &savings, prices: &settings.aws_prices };
    if args.json {
        report.json()
    } else {
        report.table()
    }
    Ok(())
}

/// Those that are named, else those of the system that runs here; none is no mistake, the forecast needs none.
fn addresses(settings: &Settings, args: &CostArgs) -> Result<Vec<String>, Failure> {
    if args.processes.is_empty() {
        let Some(running) = RunFile::look(&settings.data)? else { return Ok(Vec::new()) };
        let names = running.services.keys();
        return names.map(|name| running.operators_address(name).map(str::to_owned)).collect();
    }
    args.processes.iter().map(|text| address("the address of a process", text)).collect()
}

/// The bill of the process there, by the process's own name; `None` where nothing of AWS is used.
async fn ask(client: &Client, address: &str) -> Result<Option<(String, Bill)>, Failure> {
    let url = format!("{address}/status");
    let no_status = |why: String| Failure::unavailable(format!("{url}: {why}"));
    let mut status: Value = match get(client, &url).await.map_err(no_status)? {
        (200, body) => serde_json::from_str(&body)
            .map_err(|_| no_status("that is no page of /status: name the internal port of a keelson process".into()))?,
        (404, _) => {
            return Err(Failure::usage(format!("{url} answered 404: in production it is on the internal port")));
        }
        (status, _) => return Err(Failure::unavailable(format!("{url} answered {status}"))),
    };
    if status["cost"].is_null() {
        return Ok(None);
    }
    let process = status["cost"]["process"].as_str().unwrap_or(address).to_owned();
    let bill = serde_json::from_value(status["cost"].take())
        .map_err(|error| Failure::unavailable(format!("{url} has no bill that this version understands: {error}")))?;
    Ok(Some((process, bill)))
}
