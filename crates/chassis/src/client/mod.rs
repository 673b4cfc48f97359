//! Calling another service over HTTP: [`ServiceUrl`] says where it is, [`ServiceClient`] calls it, [`Answer`] is what
//! came back and [`CallError`] why nothing did.
//!
//! Every call is bounded in time and in size, goes over pooled connections, and hands on the correlation id, the trace
//! and the deadline of the work at hand. There is one address and one attempt: choosing among several addresses, breaking
//! the circuit and trying again have their place between [`Call::send`] and the attempts of a call.

mod address;
mod answer;
mod call;
mod error;
mod path;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method};
use reqwest::redirect::Policy;
use thiserror::Error;
use tokio::time::timeout;

pub use address::{NoServiceUrl, ServiceUrl};
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

/// For a look whether a service is alive. Whoever asks for readiness often waits for no more than a second.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How a probe says what it is: each of a system's services asks others every few seconds, and nobody wants to read that.
pub(crate) const PROBE_AGENT: HeaderValue = HeaderValue::from_static("keelson-probe");

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
    url: ServiceUrl,
    limits: CallLimits,
    http: reqwest::Client,
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
    /// A client of the service that others call `service`, such as `user-service`. It counts its calls in `metrics`.
    /// Nothing is sent yet: the service need not run.
    ///
    /// # Errors
    /// [`NoClient`], for an address of `https` alone.
    pub fn new(
        service: impl Into<Arc<str>>,
        url: ServiceUrl,
        limits: CallLimits,
        metrics: &Metrics,
    ) -> Result<Self, NoClient> {
        let service = service.into();
        let http = connections(&url)
            .map_err(|cause| NoClient { service: Arc::clone(&service), cause: error::causes(&cause) })?;
        let metrics = metrics.calls_of(&service);
        Ok(Self(Arc::new(Inner { service, url, limits, http, metrics })))
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
        let late = |_| CallError::new(self.service(), CallFailure::Timeout(PROBE_TIMEOUT));
        let answer = timeout(PROBE_TIMEOUT, self.get(&["health"]).probe().send()).await.map_err(late)??;
        if answer.status().is_success() { Ok(()) } else { Err(answer.unexpected()) }
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
            .field("url", &self.0.url)
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
