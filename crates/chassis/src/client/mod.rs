//! Calling another service over HTTP: [`ServiceUrl`] says where it is, [`ServiceClient`] calls it, [`Answer`] is what
//! came back and [`CallError`] why nothing did.
//!
//! Every call is bounded in time and in size, goes over pooled connections, and hands on the correlation id, the trace
//! and the deadline of the work at hand. Where a service is in several places, the less loaded of two gets the call
//! (`balancer`); one that fails gets none for a while (`breaker`), and what failed is tried again where that does no
//! harm (`retry`), for a share of all calls (`budget`).

mod address;
mod answer;
mod balancer;
mod breaker;
mod budget;
mod call;
mod endpoint;
mod error;
mod latency;
mod path;
mod retry;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use reqwest::redirect::Policy;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::balancer::Balancer;
use self::budget::RetryBudget;
use self::endpoint::Endpoint;
pub use address::{NoServiceUrl, ServiceUrl, ServiceUrls};
pub use answer::Answer;
pub use call::Call;
pub use error::{CallError, CallFailure};

use crate::health::{Check, Need};
use crate::telemetry::metrics::{CallMetrics, Metrics};

/// How long a connection may take to be made, with the look-up of the name: a service is in the same data centre.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection is kept without a call. Below the 75 s of our servers and the 60 s of load balancers, so that
/// no call is sent on a connection that the other side is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that are kept without a call: so many calls at once find one open each time.
const MAX_IDLE_CONNECTIONS: usize = 256;

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

/// Calls one service. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct ServiceClient(Arc<Inner>);

struct Inner {
    service: Arc<str>,
    balancer: Balancer,
    limits: CallLimits,
    budget: RetryBudget,
    /// So that a service that hangs does not hold everything that its callers have.
    bulkhead: Semaphore,
    metrics: CallMetrics,
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

impl ServiceClient {
    /// A client of the service that others call `service`, such as `user-service`, in one or several places. It counts its calls in `metrics`.
    /// Nothing is sent yet: the service need not run.
    ///
    /// # Errors
    /// [`NoClient`], for an address of `https` alone.
    pub fn new(
        service: impl Into<Arc<str>>,
        urls: ServiceUrls,
        limits: CallLimits,
        metrics: &Metrics,
    ) -> Result<Self, NoClient> {
        let service = service.into();
        let endpoint = |url: &ServiceUrl| connections(url).map(|http| Endpoint::new(url.clone(), http));
        let endpoints = urls.iter().map(endpoint).collect::<Result<_, _>>();
        let endpoints =
            endpoints.map_err(|cause| NoClient { service: Arc::clone(&service), cause: error::causes(&cause) })?;
        Ok(Self(Arc::new(Inner {
            balancer: Balancer::new(endpoints),
            limits,
            budget: RetryBudget::new(Instant::now()),
            bulkhead: Semaphore::new(MAX_CALLS),
            metrics: metrics.calls_of(&service),
            service,
        })))
    }

    /// The name of the service that is called.
    #[must_use]
    pub fn service(&self) -> &Arc<str> {
        &self.0.service
    }

    /// Begins a call. The path is that of the service's address and then these segments, each of which stays one
    /// segment whatever it holds: an id such as `../../health` names nothing else than itself.
    pub fn call(&self, method: Method, segments: &[&str]) -> Call<'_> {
        Call::new(self, method, segments)
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
        self.0.ping(PROBE_TIMEOUT).await.map_err(|failure| CallError::new(self.service(), failure))
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

/// The pool, which follows no redirect and uses no proxy: it talks to the service itself.
fn connections(url: &ServiceUrl) -> reqwest::Result<reqwest::Client> {
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS);
    // Without TLS nobody's certificates need to be there, or be read.
    let http = if url.is_encrypted() { http } else { http.tls_certs_only([]) };
    http.build()
}

impl fmt::Debug for ServiceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceClient")
            .field("service", &self.0.service)
            .field("endpoints", &self.0.balancer.endpoints())
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
