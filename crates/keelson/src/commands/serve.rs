//! `keelson serve`: these services, as a container runs them; and what `up` shares with it.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use chassis::clock::SystemClock;
use chassis::config::Layers;
use chassis::lifecycle::Lifecycle;
use chassis::run::{Bound, Launch, bind};
use chassis::service::Context;
use chassis::telemetry::logs::{Format, LogSettings, Logs, Stream};
use secrecy::SecretString;
use tracing::info;

use crate::cli::{Common, ServeArgs, ServiceName};
use crate::failure::{Failure, ended};
use crate::output::color_on;
use crate::settings::{self, Mode, Settings};
use crate::wire::{self, Stores};

/// Runs the services until a signal.
pub(crate) async fn run(common: &Common, args: &ServeArgs) -> Result<ExitCode, Failure> {
    let named = |name: &&ServiceName| args.services.contains(name);
    let services: Vec<ServiceName> = ServiceName::ALL.iter().filter(named).copied().collect();
    let layers = settings::load(common, &args.listen, args.port)?;
    let process = Process::start(&layers, Mode::Serve, &services, None).await?;
    process.run(|| info!("ready")).await
}

/// Services with their stores open and their ports taken.
pub(crate) struct Process {
    pub(crate) settings: Settings,
    pub(crate) bound: Bound,
    logs: Arc<Logs>,
    _stores: Stores,
}

impl Process {
    /// Reads the settings, starts the logs, opens the stores, takes the ports.
    pub(crate) async fn start(
        layers: &Layers,
        mode: Mode,
        services: &[ServiceName],
        operator_token: Option<SecretString>,
    ) -> Result<Self, Failure> {
        let settings = Settings::read(layers, mode, services)?;
        let logs = install_logs(&settings, services)?;
        let started = Self::open(settings, &logs, services, operator_token).await;
        if started.is_err() {
            logs.close();
        }
        started
    }

    async fn open(
        settings: Settings,
        logs: &Arc<Logs>,
        services: &[ServiceName],
        operator_token: Option<SecretString>,
    ) -> Result<Self, Failure> {
        let context = context(&settings);
        let stores = wire::open(&settings, &context).await?;
        let built = services.iter().map(|&name| {
            let (port, variable) = settings.port(name);
            (wire::build(name, &settings, &stores, &context), port, variable)
        });
        let bound = bind(Launch {
            services: built.collect(),
            config: settings.chassis.clone(),
            logs: Arc::clone(logs),
            lifecycle: Lifecycle::new(),
            operator_token,
            configuration: settings.shown.clone(),
        })?;
        Ok(Self { settings, bound, logs: Arc::clone(logs), _stores: stores })
    }

    /// Serves until a signal, then drains and writes the last log lines.
    pub(crate) async fn run(self, when_ready: impl FnOnce() + Send) -> Result<ExitCode, Failure> {
        let ending = self.bound.run(when_ready).await;
        if let Ok(ending) = &ending {
            info!(ending = ?ending, "stopped");
        }
        drop(self._stores);
        self.logs.close();
        ended(ending?)
    }
}

/// Time and ids, and what the settings say of the name.
pub(crate) fn context(settings: &Settings) -> Context {
    let system = Context::system();
    Context {
        name: settings.chassis.service_name.clone(),
        version: settings.chassis.service_version.clone().unwrap_or(system.version),
        ..system
    }
}

/// JSON on standard output in production; for people on standard error otherwise.
fn install_logs(settings: &Settings, services: &[ServiceName]) -> Result<Arc<Logs>, Failure> {
    let production = settings.chassis.production;
    let config = &settings.chassis.logs;
    let only = if let [only] = services { wire::identity(*only).name } else { "keelson" };
    let logs = LogSettings {
        level: config.level,
        filter: config.filter.clone(),
        format: if production { Format::Json } else { Format::Terminal { color: color_on(&io::stderr()) } },
        stream: if production { Stream::Stdout } else { Stream::Stderr },
        dir: config.dir.clone(),
        default_service: settings.chassis.service_name.as_deref().unwrap_or(only).into(),
    };
    Ok(Logs::install(logs, SystemClock::shared())?)
}
