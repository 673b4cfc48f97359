//! Which system is checked: the one that runs here, or one behind a load balancer, as the original test was told it.

use std::io::{self, IsTerminal};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use backends::open_objects;
use chassis::clock::{Clock, SystemClock};
use chassis::config::{Layers, OptionalSetting, Reader, Section};
use chassis::ports::ObjectStore;
use chassis::telemetry::storage::StorageFailures;
use reqwest::Url;
use secrecy::SecretString;

use crate::cli::{Common, EndToEndArgs, ListenArgs};
use crate::commands::api_token;
use crate::commands::http_client::client;
use crate::failure::Failure;
use crate::output::confirmed;
use crate::run_file::RunFile;
use crate::settings::{self, Mode, OBJECTS_URL, Settings};
use crate::wire::object_context;

const ALB_DNS: OptionalSetting<String> = OptionalSetting::new(
    "ALB_DNS",
    "Where `keelson e2e` sends its message instead of to the system on this machine: the load balancer's name, `host:port`, or a URL. It needs `API_TOKEN`, and `S3_BUCKET_NAME` or `OBJECTS_URL`, too.",
);

/// For the printed reference.
pub(crate) const SETTINGS: Section = Section { title: "End-to-end check", settings: &[ALB_DNS.info] };

/// How often the object store is looked at: on this machine, and where a look is paid for.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
const METERED_LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Where the message goes in and where it must come out.
pub(super) struct Target {
    pub(super) ingest: String,
    pub(super) client: reqwest::Client,
    pub(super) token: SecretString,
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) look_interval: Duration,
    /// How long the message may wait for its roll-up, where that is known.
    pub(super) rollup_age: Duration,
}

/// The system behind `ALB_DNS`, else the one that runs on the data folder.
pub(super) async fn find(common: &Common, args: &EndToEndArgs) -> Result<Target, Failure> {
    let layers = settings::load(common, &ListenArgs::default(), None)?;
    let settings = Settings::read(&layers, Mode::Up, &[])?;
    match Reader::new(&layers).get_optional(&ALB_DNS) {
        Some(address) => elsewhere(&settings, &layers, &address, args).await,
        None => here(&settings, args).await,
    }
}

async fn here(settings: &Settings, args: &EndToEndArgs) -> Result<Target, Failure> {
    let running = RunFile::find(&settings.data)?;
    refuse_memory(&running.objects_url)?;
    let (ingest, token) = (running.address("ingest")?.to_owned(), api_token::of_running(settings, &running).await?);
    let target = on(ingest, token, &running.objects_url, settings, args).await?;
    let age = running.rollup_age_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Target { rollup_age: age.unwrap_or_default(), ..target })
}

async fn elsewhere(
    settings: &Settings,
    layers: &Layers,
    address: &str,
    args: &EndToEndArgs,
) -> Result<Target, Failure> {
    let ingest = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let is_bare = |url: &Url| url.username().is_empty() && url.password().is_none();
    let is_plain = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare(&url);
    if !ingest.parse().is_ok_and(is_plain) {
        return Err(Failure::usage("ALB_DNS: expected a host, host:port, or a URL without user and password"));
    }
    let token = api_token::of_settings(settings).await?;
    let token = token.ok_or_else(|| Failure::usage("ALB_DNS is set and API_TOKEN is not: set it to ingest's token"))?;
    // The default is a folder of this machine, which that system does not know.
    if !settings.objects_url.starts_with("s3:") && !Reader::new(layers).is_set(&OBJECTS_URL.info) {
        let missing = "ALB_DNS is set and S3_BUCKET_NAME is not: set it to the archiver's bucket, or OBJECTS_URL to what the archiver has";
        return Err(Failure::usage(missing));
    }
    refuse_memory(&settings.objects_url)?;
    on(ingest.trim_end_matches('/').to_owned(), token, &settings.objects_url, settings, args).await
}

async fn on(
    ingest: String,
    token: SecretString,
    objects_url: &str,
    settings: &Settings,
    args: &EndToEndArgs,
) -> Result<Target, Failure> {
    let is_metered = objects_url.starts_with("s3:");
    let is_emulated = settings.aws.settings().endpoint_url.as_deref().is_some_and(is_on_this_machine);
    if is_metered && !is_emulated && !args.yes {
        ask().await?;
    }
    let objects = open_objects(objects_url, object_context(settings, &StorageFailures::default())).await?;
    let look_interval = if is_metered { METERED_LOOK_INTERVAL } else { LOOK_INTERVAL };
    let rollup_age = settings.archiver.rollup.map(|rollup| rollup.age).unwrap_or_default();
    let client = client(&settings.chassis.tls)?;
    Ok(Target { ingest, client, token, objects, clock: SystemClock::shared(), look_interval, rollup_age })
}

fn refuse_memory(objects_url: &str) -> Result<(), Failure> {
    match objects_url.starts_with("memory:") {
        true => Err(Failure::usage("the running system keeps its objects in memory, where nobody else can look")),
        false => Ok(()),
    }
}

/// An emulator; a private endpoint of AWS is elsewhere.
fn is_on_this_machine(endpoint: &str) -> bool {
    let url = endpoint.parse::<Url>().ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Real AWS costs money, however little, and somebody else may look at the bucket.
async fn ask() -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("this works on real AWS resources, and there is no terminal to ask: add --yes"));
    }
    let question = "This sends a message through real AWS resources, which costs a little. Go on? [y/N] ";
    if confirmed(question.to_owned()).await { Ok(()) } else { Err(Failure::failed("nothing was sent")) }
}
