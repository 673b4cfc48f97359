//! Services with their stores open and their ports taken: what `up` and `serve` have in common.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use backends::local::{generated_secret_path, random_secret};
use chassis::clock::SystemClock;
use chassis::config::Layers;
use chassis::envelope::seed_random;
use chassis::lifecycle::Lifecycle;
use chassis::run::{Bound, InheritedSockets, Launch, Ports, bind, take_ports};
use chassis::service::Context;
use chassis::telemetry::correlation::Scope;
use chassis::telemetry::logs::{Format, LogSettings, Logs, Stream};
use chassis::tls::Tls;
use sd_notify::NotifyState;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::cli::{ServiceName, StarterArgs};
use crate::failure::{Failure, ended};
use crate::output::color_on;
use crate::run_file::{Announced, RunFile, reachable, reachable_by_operators};
use crate::settings::{Mode, Settings};
use crate::wire::{self, API_TOKEN_FILE, OWN_CRATES, Peers, Stores};

/// A process that is about to serve. Other commands find it through its run file.
pub(super) struct Process {
    pub(super) settings: Settings,
    pub(super) bound: Bound,
    pub(super) run_file: RunFile,
    logs: Arc<Logs>,
    stores: Stores,
    announced: Option<Announced>,
    lifecycle: Lifecycle,
    /// Whether there are keys for encrypted calls.
    encrypts: bool,
}

impl Process {
    /// Reads the settings, starts the logs, opens the stores, takes the ports, writes the run file.
    pub(super) async fn start(
        layers: &Layers,
        mode: Mode,
        services: &[ServiceName],
        inherited: InheritedSockets,
    ) -> Result<Self, Failure> {
        let settings = Settings::read(layers, mode, services)?;
        let logs = install_logs(&settings, mode, services)?;
        let started = Self::open(settings, layers, &logs, (services, inherited)).await;
        if started.is_err() {
            logs.close();
        }
        started
    }

    async fn open(
        settings: Settings,
        layers: &Layers,
        logs: &Arc<Logs>,
        (services, inherited): (&[ServiceName], InheritedSockets),
    ) -> Result<Self, Failure> {
        let tls = Tls::load(&settings.chassis.tls)?;
        let context = Context { tls: tls.clone(), ..context(&settings) };
        let stores = wire::open(&settings, services, &context).await?;
        let (keys, followed_keys) = wire::service_keys(&settings, &context).await?;
        let encrypts = keys.is_some();
        let context = Context { keys, ..context };
        let operator_token = random_secret()?;
        let ports = take_ports(&settings.chassis, &settings.wanted_ports(services), inherited)?;
        let own: Vec<_> = services.iter().copied().zip(ports.iter().map(Ports::address)).collect();
        let peers = Peers::new(&settings, &own)?.showing_tokens(&settings, &stores, &context)?;
        wire::warn_of_one_client(&settings, services);
        let mut built = Vec::new();
        for &name in services {
            built.push(wire::build(name, &settings, &stores, &peers, &context).await?);
        }
        let tokens = wire::token_verifier(&settings, &stores, &peers, &mut built, &context)?;
        followed_keys.follow(&mut built);
        wire::follow_file(layers, &settings.chassis.consumer_services, &mut built);
        let lifecycle = Lifecycle::new();
        let bound = bind(Launch {
            services: built.into_iter().zip(ports).collect(),
            config: settings.chassis.clone(),
            logs: Arc::clone(logs),
            lifecycle: lifecycle.clone(),
            tokens,
            tls,
            operator_token: Some(operator_token.clone()),
            configuration: settings.shown.clone(),
        })?;
        let run_file = run_file(&settings, &bound, &operator_token)?;
        let announced = stores.own_folder().then(|| run_file.announce(&settings.data)).transpose()?;
        Ok(Self { settings, bound, run_file, logs: Arc::clone(logs), stores, announced, lifecycle, encrypts })
    }

    /// Ends with whoever started it, however that one ends, when that was asked for.
    pub(super) fn started_by(self, starter: StarterArgs) -> Self {
        if starter.stop_with_stdin {
            let lifecycle = self.lifecycle.clone();
            self.lifecycle.spawn("standard-input", Scope::service("keelson"), async move {
                let ended = spawn_blocking(|| io::copy(&mut io::stdin().lock(), &mut io::sink()));
                if lifecycle.draining().run_until_cancelled(ended).await.is_some() {
                    info!("standard input has ended: shutting down");
                    lifecycle.shut_down();
                }
            });
        }
        self
    }

    /// Serves until a signal, then drains and writes the last log lines.
    pub(super) async fn run(self, when_ready: impl FnOnce() + Send) -> Result<ExitCode, Failure> {
        let ready = || {
            when_ready();
            tell_starter();
            if self.encrypts {
                spawn_blocking(seed);
            }
        };
        let ending = self.bound.run(ready).await;
        drop(self.announced);
        if let Ok(ending) = &ending {
            info!(ending = ?ending, "stopped");
        }
        drop(self.stores);
        self.logs.close();
        ended(ending?)
    }
}

/// After the start, which it would hold up, and before the first encrypted call, most likely.
fn seed() {
    if let Err(error) = seed_random() {
        warn!(cause = %error, "encrypted calls will fail");
    }
}

/// Says that all services are ready to whoever waits for it (sd_notify(3)), if anybody does.
fn tell_starter() {
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        warn!(cause = %error, "whoever started this process cannot be told that it is ready (NOTIFY_SOCKET)");
    }
}

/// Whoever reads the file may stand in another folder, so its paths are absolute.
fn run_file(settings: &Settings, bound: &Bound, operator_token: &SecretString) -> Result<RunFile, Failure> {
    let absolute = |path: PathBuf| {
        std::path::absolute(&path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
    };
    let token_file = || absolute(generated_secret_path(&settings.data, API_TOKEN_FILE));
    Ok(RunFile {
        pid: std::process::id(),
        services: reachable(&bound.listening()),
        operators: reachable_by_operators(&bound.listening()),
        operator_token: operator_token.expose_secret().to_owned(),
        api_token_file: settings.ingest.api_token.is_none().then(token_file).transpose()?,
        objects_url: match settings.objects_url.strip_prefix("file:") {
            Some(folder) => format!("file:{}", absolute(folder.into())?.display()),
            None => settings.objects_url.clone(),
        },
        rollup_age_seconds: settings.archiver.rollup.map(|rollup| rollup.age.as_secs_f64()),
    })
}

/// Time and ids, and what the settings say of the name.
pub(super) fn context(settings: &Settings) -> Context {
    let system = Context::system();
    Context {
        name: settings.chassis.service_name.clone(),
        version: settings.chassis.service_version.clone().unwrap_or(system.version),
        ..system
    }
}

/// JSON in production, else for people. Standard output belongs to `up` itself, and to the logs of a container.
pub(super) fn install_logs(settings: &Settings, mode: Mode, services: &[ServiceName]) -> Result<Arc<Logs>, Failure> {
    let production = settings.chassis.production;
    let config = &settings.chassis.logs;
    let only = if let [only] = services { wire::identity(*only).name } else { "keelson" };
    let logs = LogSettings {
        level: config.level,
        own_crates: OWN_CRATES,
        filter: config.filter.clone(),
        format: if production { Format::Json } else { Format::Terminal { color: color_on(&io::stderr()) } },
        stream: if production && mode == Mode::Serve { Stream::Stdout } else { Stream::Stderr },
        dir: config.dir.clone(),
        default_service: settings.chassis.service_name.as_deref().unwrap_or(only).into(),
    };
    Ok(Logs::install(logs, SystemClock::shared())?)
}
