//! Calling another service over HTTP: [`ServiceUrl`] says where it is, [`ServiceClient`] calls it, [`Answer`] is what
//! came back and [`CallError`] why nothing did.
//!
//! Every call is bounded in time and in size, goes over pooled connections, and hands on the correlation id, the trace
//! and the deadline of the work at hand (`work`). Names become addresses (`discovery`); where a service has several, the
//! less loaded of two gets the call (`balancer`). One that fails gets none for a while (`breaker`), and what failed is tried
//! again where that does no harm (`retry`), for a share of all calls (`budget`). Between services of the system bodies are
//! encrypted (`encryption`).

mod address;
mod answer;
mod balancer;
mod breaker;
mod budget;
mod call;
mod callees;
mod discovery;
mod encryption;
mod endpoint;
mod error;
mod exchange;
mod forward;
mod latency;
mod looking;
mod observed;
mod path;
mod places;
mod pool;
mod probes;
mod reset;
mod resolve;
mod retry;
#[cfg(test)]
mod tests;
mod transport;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::ResolverConfig;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::budget::RetryBudget;
use self::discovery::Discovery;
use self::work::Inner;
pub use address::{NoServiceUrl, ServiceUrl, ServiceUrls};
pub use answer::Answer;
pub use call::Call;
pub use callees::{Callees, DEFAULT_CALL_TIMEOUT};
pub(crate) use encryption::CallEncryption;
pub use error::{CallError, CallFailure};
pub use forward::drop_hop_by_hop;
pub use observed::{Observed, ObservedEndpoint, ObservedStatus};
pub use places::Places;

use crate::error::causes;
use crate::health::{Check, Need};
use crate::telemetry::metrics::Metrics;
use crate::tls::Tls;

/// Calls of one service at once; more is refused.
const MAX_CALLS: usize = 256;

/// For a look whether a service is alive. Whoever asks for readiness often waits for no more than a second.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How a probe says what it is: each of a system's services asks others every few seconds, and nobody wants to read that.
pub(crate) const PROBE_AGENT: HeaderValue = HeaderValue::from_static("keelson-probe");

/// Says in how many milliseconds the caller no longer waits. It is a time and no instant, so that no clocks need agree.
///
/// Source: <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-expected-rq-timeout-ms>
pub(crate) const DEADLINE_HEADER: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const IDEMPOTENCY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// What one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// From the first look at the name to the last byte of the answer. A call never outlives the request that it is
    /// made for.
    pub timeout: Duration,
    /// Bytes of the answer's body.
    pub max_answer_bytes: usize,
}

impl Default for CallLimits {
    /// 2 s and 1 MiB.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), max_answer_bytes: 1 << 20 }
    }
}

/// What is found and believed in another way than the system's.
#[derive(Debug, Clone, Default)]
struct Surroundings {
    /// Name servers.
    servers: Option<ResolverConfig>,
    /// Certificates.
    tls: Option<Arc<Tls>>,
}

/// Calls one service. Cheap to clone; clones share their connections, and what they learn.
#[derive(Clone)]
pub struct ServiceClient {
    shared: Arc<Inner>,
    limits: CallLimits,
    encryption: Option<Arc<CallEncryption>>,
    /// So that a service that hangs does not hold everything that its callers have.
    bulkhead: Arc<Semaphore>,
}

/// The system has no certificates to check servers with, or no randomness.
#[derive(Debug, Error)]
#[error(
    "no client for {service} can be made: {cause}; calls over https need the certificates of authorities (on Debian `ca-certificates`)"
)]
pub struct NoClient {
    service: Arc<str>,
    cause: String,
}

impl NoClient {
    fn new(service: &Arc<str>, cause: &rustls::Error) -> Self {
        Self { service: Arc::clone(service), cause: causes(cause) }
    }
}

impl ServiceClient {
    /// A client of the service that others call `service`, such as `user-service`, in one or several places. It counts its calls in `metrics`.
    /// Nothing is looked up or sent yet: the service need not run. Over `https` it believes whom the system trusts, and shows
    /// nothing: for a service of this system there is [`Callees::client`].
    ///
    /// # Errors
    /// [`NoClient`], for an address of `https` alone.
    pub fn new(
        service: impl Into<Arc<str>>,
        places: impl Into<Places>,
        limits: CallLimits,
        metrics: &Metrics,
    ) -> Result<Self, NoClient> {
        Self::within(Surroundings::default(), service.into(), places.into(), limits, metrics)
    }

    /// The same, where something is not the system's.
    fn within(
        surroundings: Surroundings,
        service: Arc<str>,
        places: Places,
        limits: CallLimits,
        metrics: &Metrics,
    ) -> Result<Self, NoClient> {
        let shared = Inner {
            discovery: Discovery::new(&service, places, surroundings)?,
            budget: RetryBudget::new(Instant::now()),
            metrics: metrics.calls_of(&service),
            service,
        };
        let bulkhead = Arc::new(Semaphore::new(MAX_CALLS));
        Ok(Self { shared: Arc::new(shared), limits, encryption: None, bulkhead })
    }

    /// The same client, whose calls are encrypted as this says.
    fn encrypted(self, encryption: Arc<CallEncryption>) -> Self {
        Self { encryption: Some(encryption), ..self }
    }

    /// The same client for another use: its calls may take something else, and as many of them may be under way beside those
    /// of this one.
    #[must_use]
    pub fn with_limits(&self, limits: CallLimits) -> Self {
        let (shared, encryption) = (Arc::clone(&self.shared), self.encryption.clone());
        Self { shared, limits, encryption, bulkhead: Arc::new(Semaphore::new(MAX_CALLS)) }
    }

    /// What its calls may take.
    #[must_use]
    pub fn limits(&self) -> CallLimits {
        self.limits
    }

    /// The name of the service that is called.
    #[must_use]
    pub fn service(&self) -> &Arc<str> {
        &self.shared.service
    }

    /// Where the configuration says that the service is.
    #[must_use]
    pub fn places(&self) -> &Places {
        self.shared.discovery.places()
    }

    /// Begins a call. The path is that of the service's address and then these segments, each of which stays one
    /// segment whatever it holds: an id such as `../../health` names nothing else than itself.
    pub fn call(&self, method: Method, segments: &[&str]) -> Call<'_> {
        Call::new(self, method, segments)
    }

    /// Begins a call of a path that is given whole, with its query; it is below the path of the service's address.
    pub fn call_at(&self, method: Method, target: &PathAndQuery) -> Call<'_> {
        Call::at(self, method, target)
    }

    /// Begins a call that reads.
    pub fn get(&self, segments: &[&str]) -> Call<'_> {
        self.call(Method::GET, segments)
    }

    /// For readiness: whether the service is alive. Asks `/health`, which looks at nothing else, since the service may
    /// look at ours to say whether it is ready.
    ///
    /// # Errors
    /// Why no answer came, or another one than 200.
    pub async fn ping(&self) -> Result<(), CallError> {
        self.shared.ping(PROBE_TIMEOUT).await.map_err(|failure| CallError::new(self.service(), failure))
    }

    /// Looks whether those of its endpoints are alive of which nobody has seen anything for so long.
    pub(crate) async fn probe_idle(&self, idle: Duration) {
        self.shared.probe_idle(idle, PROBE_TIMEOUT).await;
    }

    /// The same as a readiness check: the service that asks goes on without the other one.
    #[must_use]
    pub fn check(&self, name: &'static str) -> Check {
        let client = self.clone();
        Check::new(name, Need::Optional, move || {
            let client = client.clone();
            async move { client.ping().await.map_err(|error| error.to_string()) }
        })
    }
}

impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceClient")
            .field("service", &self.shared.service)
            .field("places", self.places())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
