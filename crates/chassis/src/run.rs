//! Runs services in one process: take the ports, build, serve, drain, end.

mod ports;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::time::sleep;
use tracing::{info, warn};

pub use self::ports::{Ports, WantedPort, take_ports};
use crate::auth::TokenVerifier;
use crate::client::Callees;
use crate::config::{ChassisConfig, HttpConfig};
use crate::health::Status;
use crate::http::{Edge, Operator, Routers, ServiceState, Shared, build_routers};
use crate::lifecycle::{Ending, Latch, Lifecycle};
use crate::server::{self, ConcurrencyLimit, Limits, Listener};
pub use crate::server::{BindError, InheritError, InheritedSockets};
use crate::service::{Identity, Service, Worker};
use crate::telemetry::correlation::Scope;
use crate::telemetry::logs::Logs;
use crate::tls::{ListenerTls, Tls};

/// How often health is looked at for the metrics when nobody asks.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);
/// How often readiness is looked at while the services start.
const READY_INTERVAL: Duration = Duration::from_millis(5);

/// What a process runs, and with what.
#[derive(Debug)]
pub struct Launch {
    /// Each service with its ports.
    pub services: Vec<(Service, Ports)>,
    /// The settings that all these services share.
    pub config: ChassisConfig,
    /// Where the process logs. The caller closes them after the run.
    pub logs: Arc<Logs>,
    /// Tells every task when to stop; [`Bound::run`] drives it.
    pub lifecycle: Lifecycle,
    /// Verifies users' tokens; `None` where no route asks for one.
    pub tokens: Option<Arc<TokenVerifier>>,
    /// The certificates of the process; `None`: its ports speak plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Who may use `/ops/v1`; `None`: nobody.
    pub operator_token: Option<SecretString>,
    /// What `/status` shows of the configuration; secrets are masked already.
    pub configuration: Map<String, Value>,
}

/// Why a process could not start or run.
#[derive(Debug, Error)]
pub enum RunError {
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system does not let us listen for signals.
    #[error("cannot listen for signals: {0}")]
    Signals(#[from] std::io::Error),
    /// The library does not speak TLS as it is asked to.
    #[error("cannot speak TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Where a service listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// The service.
    pub identity: Identity,
    /// For callers.
    pub address: SocketAddr,
    /// For operators, when there is a second listener.
    pub internal: Option<SocketAddr>,
    /// `http` or `https`, of both.
    pub scheme: &'static str,
}

/// Services whose sockets are bound and that are ready to run.
#[derive(Debug)]
pub struct Bound {
    services: Vec<BoundService>,
    config: Arc<ChassisConfig>,
    lifecycle: Lifecycle,
    concurrency: Arc<ConcurrencyLimit>,
    tls: Option<Arc<Tls>>,
    /// Nothing is ready before every service is started.
    starting: Latch,
}

#[derive(Debug)]
struct BoundService {
    listening: Listening,
    public: Port,
    internal: Option<Port>,
    workers: Vec<Worker>,
    state: Arc<ServiceState>,
}

/// A port with what is served there.
#[derive(Debug)]
struct Port {
    listener: Listener,
    edge: Edge,
    tls: Option<ListenerTls>,
}

/// Puts every service behind its ports. Nothing is served yet.
///
/// # Errors
/// The system does not tell where a port is, or TLS cannot be spoken.
pub fn bind(launch: Launch) -> Result<Bound, RunError> {
    let config = Arc::new(launch.config);
    let shared = Shared {
        config: Arc::clone(&config),
        logs: launch.logs,
        lifecycle: launch.lifecycle.clone(),
        operator: Arc::new(Operator(launch.operator_token)),
        tokens: launch.tokens,
        configuration: Arc::new(launch.configuration),
    };
    let starting = launch.lifecycle.latch();
    let tls = launch.tls.as_deref();
    let services = launch.services.into_iter().map(|(service, ports)| bind_service(service, ports, &shared, tls));
    let services = services.collect::<Result<Vec<_>, RunError>>()?;
    let concurrency = Arc::default();
    Ok(Bound { services, config, lifecycle: launch.lifecycle, concurrency, tls: launch.tls, starting })
}

fn bind_service(
    mut service: Service,
    ports: Ports,
    shared: &Shared,
    tls: Option<&Tls>,
) -> Result<BoundService, RunError> {
    let listening = Listening {
        identity: service.identity,
        address: ports.address,
        internal: ports.internal.as_ref().map(Listener::local_addr).transpose()?,
        scheme: shared.config.tls.scheme(),
    };
    let workers = std::mem::take(&mut service.workers);
    let Routers { public, internal, state } = build_routers(service, shared);
    let identities = Arc::new(shared.config.identities.clone());
    let http2 = shared.config.http.connections.http2;
    // Probes and Prometheus have no certificates.
    let secured =
        |asks| Ok::<_, RunError>(tls.map(|tls| tls.listener(asks, http2, &identities)).transpose()?.flatten());
    let internal = ports.internal.zip(internal);
    let internal = internal.map(|(listener, edge)| Ok::<_, RunError>(Port { listener, edge, tls: secured(false)? }));
    Ok(BoundService {
        listening,
        public: Port { listener: ports.public, edge: public, tls: secured(true)? },
        internal: internal.transpose()?,
        workers,
        state,
    })
}

impl Bound {
    /// Where everything listens.
    #[must_use]
    pub fn listening(&self) -> Vec<Listening> {
        self.services.iter().map(|service| service.listening).collect()
    }

    /// What each listener may have, which is less than the setting where the system gives us too few files.
    fn max_connections(&self) -> usize {
        let wanted = self.config.http.connections.max;
        let listeners = self.services.iter().map(|service| 1 + usize::from(service.internal.is_some())).sum();
        let most = server::connections_for(wanted, listeners);
        if most < wanted {
            info!(
                "each port takes {most} connections at once instead of {wanted} (MAX_CONNECTIONS): the system limits the files that this process may open, see `ulimit -Hn`"
            );
        }
        most
    }

    /// Serves until a signal, then drains. `when_ready` is called once, when all services are ready.
    ///
    /// # Errors
    /// The system does not let us listen for signals.
    pub async fn run(self, when_ready: impl FnOnce() + Send) -> Result<Ending, RunError> {
        let lifetimes = self.config.lifetimes;
        let lifecycle = self.lifecycle.clone();
        warn_of_what_is_open(&self.config);
        let states: Vec<_> = self.services.iter().map(|service| Arc::clone(&service.state)).collect();
        let max_connections = self.max_connections();
        for service in self.services {
            start(service, max_connections, &self.config.http, (&lifecycle, &self.concurrency));
        }
        let scope = states.first().map(|state| Scope::service(&state.name));
        follow_files(self.tls.zip(scope), &lifecycle);
        drop(self.starting);
        let ready = async {
            wait_until_ready(&states, &lifecycle).await;
            if !lifecycle.is_draining() {
                when_ready();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ending = lifecycle.run_to_end(lifetimes) => Ok(ending?),
            () = ready => Ok(Ending::Clean),
            never = self.concurrency.watch() => match never {},
        }
    }
}

fn start(
    service: BoundService,
    max_connections: usize,
    http: &HttpConfig,
    (lifecycle, concurrency): (&Lifecycle, &Arc<ConcurrencyLimit>),
) {
    let BoundService { listening, public, internal, workers, state } = service;
    let scope = Scope::service(&state.name);
    info!(service.address = %listening.address, "{} listens on {}://{}", state.name, listening.scheme, listening.address);
    if let Some(address) = listening.internal {
        info!(service.internal_address = %address, "{} listens for operators on {}://{address}", state.name, listening.scheme);
    }
    let serve = |Port { listener, edge, tls }, concurrency| {
        let limits = Limits::new(max_connections, http, state.metrics.clone(), concurrency).over(tls);
        server::serve(listener, edge, limits, lifecycle.clone())
    };
    lifecycle.spawn("server", scope.clone(), serve(public, Arc::clone(concurrency)));
    if let Some(internal) = internal {
        // Operators and probes are few, and needed most when the rest has to wait.
        let unlimited = Arc::default();
        lifecycle.spawn("internal-server", scope.clone(), serve(internal, unlimited));
    }
    for worker in workers {
        lifecycle.spawn(worker.name, scope.clone(), (worker.start)(lifecycle.clone()));
    }
    lifecycle.spawn("probes", scope.clone(), watch_callees(state.callees.clone(), lifecycle.clone()));
    lifecycle.spawn("health", scope, watch_health(state, lifecycle.clone()));
}

/// Lets new certificates count without a restart.
fn follow_files(tls: Option<(Arc<Tls>, Scope)>, lifecycle: &Lifecycle) {
    let Some((tls, scope)) = tls else { return };
    let draining = lifecycle.draining().clone();
    lifecycle.spawn("tls-files", scope, async move {
        draining.run_until_cancelled(tls.follow()).await;
    });
}

/// Keeps what `GET /services` says true while nobody calls them.
async fn watch_callees(callees: Callees, lifecycle: Lifecycle) {
    lifecycle.draining().run_until_cancelled(callees.keep_probed()).await;
}

/// Keeps the health metrics fresh, and the log of what went down and up.
async fn watch_health(state: Arc<ServiceState>, lifecycle: Lifecycle) {
    while !lifecycle.is_draining() {
        state.health.readiness().await;
        tokio::select! {
            () = sleep(HEALTH_INTERVAL) => {}
            () = lifecycle.draining().cancelled() => {}
        }
    }
    state.health.readiness().await;
}

async fn wait_until_ready(states: &[Arc<ServiceState>], lifecycle: &Lifecycle) {
    for state in states {
        while state.health.readiness().await.status == Status::NotReady && !lifecycle.is_draining() {
            sleep(READY_INTERVAL).await;
        }
    }
}

fn warn_of_what_is_open(config: &ChassisConfig) {
    if !config.production {
        warn!(
            "PRODUCTION is false: metrics, status and docs are open to everybody who reaches {}, and so is every route but those about a token's own bearer; web pages of other origins are refused",
            config.host
        );
    }
}
