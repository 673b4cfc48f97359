//! What a room hands over: a name, routes, workers and readiness checks. `run` does the rest.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;

use crate::client::{CallEncryption, Callees, ServiceClient};
use crate::clock::{Clock, SystemClock};
use crate::envelope::ServiceKeys;
use crate::health::Check;
use crate::http::{Routes, forget_expired};
use crate::ids::Ids;
use crate::lifecycle::Lifecycle;
use crate::outbox::Relay;
use crate::telemetry::metrics::Metrics;
use crate::tls::Tls;

/// Who a service is: fixed for each room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The name that others see, such as `user-service`.
    pub name: &'static str,
    /// The command line's name, such as `users`.
    pub short_name: &'static str,
    /// One sentence for `--help` and the API document.
    pub about: &'static str,
}

/// What every room is built with: time and ids as arguments, and what the configuration says of its name.
#[derive(Debug, Clone)]
pub struct Context {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives ids and randomness.
    pub ids: Arc<Ids>,
    /// The keys of encrypted calls; `None`: nothing is encrypted, and nothing decrypted.
    pub keys: Option<Arc<ServiceKeys>>,
    /// Names this process among all others, unlike its number: in a container each has number 1.
    pub process: Arc<str>,
    /// `SERVICE_NAME`: another name than the identity's.
    pub name: Option<String>,
    /// `SERVICE_VERSION`, or the build's.
    pub version: String,
    /// The certificates of the process, for calls of other services; `None` where there are none.
    pub tls: Option<Arc<Tls>>,
}

impl Context {
    /// The machine's clock and randomness, the build's version.
    #[must_use]
    pub fn system() -> Self {
        let clock = SystemClock::shared();
        let ids = Ids::new(Arc::clone(&clock));
        let process = ids.uuid().to_string().into();
        Self { clock, ids, keys: None, process, name: None, version: env!("CARGO_PKG_VERSION").into(), tls: None }
    }

    /// The present instant as stores keep it: to the microsecond.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// A member of `GET /status` beside those that every service has.
#[derive(Clone)]
pub(crate) struct StatusMember {
    pub(crate) name: &'static str,
    pub(crate) value: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl fmt::Debug for StatusMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusMember").field("name", &self.name).finish_non_exhaustive()
    }
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A background task of a service: runs until the drain begins and its work in hand is finished.
pub struct Worker {
    pub(crate) name: &'static str,
    pub(crate) start: Box<dyn FnOnce(Lifecycle) -> Work + Send>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A service, ready to be run.
pub struct Service {
    pub(crate) identity: Identity,
    pub(crate) name: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) context: Context,
    pub(crate) metrics: Metrics,
    pub(crate) callees: Callees,
    pub(crate) routes: Routes,
    pub(crate) operator_routes: OpenApiRouter,
    pub(crate) workers: Vec<Worker>,
    pub(crate) checks: Vec<Check>,
    pub(crate) welcome: Map<String, Value>,
    pub(crate) status: Vec<StatusMember>,
    pub(crate) error_member: bool,
}

impl Service {
    /// A service with the chassis routes alone.
    #[must_use]
    pub fn new(identity: Identity, context: &Context) -> Self {
        let name: Arc<str> = context.name.as_deref().unwrap_or(identity.name).into();
        let metrics = Metrics::new(&name, &context.version);
        let encryption = CallEncryption::new(identity.name, context.keys.clone());
        Self {
            identity,
            callees: Callees::new(Arc::clone(&name), metrics.clone(), context.tls.clone(), encryption),
            name,
            version: context.version.as_str().into(),
            context: context.clone(),
            metrics,
            routes: Routes::new(),
            operator_routes: OpenApiRouter::new(),
            workers: Vec::new(),
            checks: Vec::new(),
            welcome: Map::new(),
            status: Vec::new(),
            error_member: false,
        }
    }

    /// The name that others see.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where the room registers its metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The services that this one may call, for itself and for whoever asks at `POST /call/{service_name}`.
    #[must_use]
    pub fn callees(&self) -> &Callees {
        &self.callees
    }

    /// Lets callers reach a service that the room calls.
    #[must_use]
    pub fn calls(self, client: &ServiceClient) -> Self {
        self.callees.share(client);
        self
    }

    /// Adds routes for callers, each with who may call it. They pass the edge and stand in the API document. The room
    /// brings its own state.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Adds routes for operators: they need the operator's token, and stand on the internal listener if there is one.
    #[must_use]
    pub fn operator_routes(mut self, routes: OpenApiRouter) -> Self {
        self.operator_routes = self.operator_routes.merge(routes);
        self
    }

    /// Adds a background task. It runs until the lifecycle that it gets begins to drain, finishes its work, and
    /// returns. One that ends earlier, or panics, stops the process with a failure.
    #[must_use]
    pub fn worker<F>(mut self, name: &'static str, start: impl FnOnce(Lifecycle) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.add_worker(name, start);
        self
    }

    /// The same, to a service that is built.
    pub fn add_worker<F>(&mut self, name: &'static str, start: impl FnOnce(Lifecycle) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.workers.push(Worker { name, start: Box::new(move |lifecycle| Box::pin(start(lifecycle))) });
    }

    /// Lets answers to requests with a key be forgotten when they have expired. `forget` does it for some thousands at
    /// most, and tells how many it found.
    #[must_use]
    pub fn expired_answers<F>(self, forget: impl Fn(Timestamp) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<u64, String>> + Send + 'static,
    {
        let forgetting = forget_expired(self.context.clone(), forget);
        self.worker("expired-answers", |lifecycle| async move {
            lifecycle.draining().run_until_cancelled(forgetting).await;
        })
    }

    /// Lets the events of the room's outbox be delivered, and operators see those that wait.
    #[must_use]
    pub fn outbox(mut self, relay: Relay) -> Self {
        self.checks.extend(relay.check());
        self.operator_routes(relay.routes()).worker("outbox", |lifecycle| relay.run(lifecycle))
    }

    /// Adds a readiness check; one for each dependency.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds a member to the answer of `GET /`, such as where the interesting routes are.
    #[must_use]
    pub fn welcome(mut self, member: &str, value: Value) -> Self {
        self.welcome.insert(member.to_owned(), value);
        self
    }

    /// Adds a member to the answer of `GET /status`, asked for with each answer; it must not block.
    #[must_use]
    pub fn status(mut self, name: &'static str, value: impl Fn() -> Value + Send + Sync + 'static) -> Self {
        self.status.push(StatusMember { name, value: Arc::new(value) });
        self
    }

    /// Repeats the text of every error as `error`, where clients of the Flask originals look for it.
    #[must_use]
    pub fn with_error_member(mut self) -> Self {
        self.error_member = true;
        self
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("workers", &self.workers).finish_non_exhaustive()
    }
}
