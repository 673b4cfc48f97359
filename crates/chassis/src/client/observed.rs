//! What was last seen of a service, for those who look at the system.

use serde::Serialize;
use tokio::time::Instant;

use super::ServiceClient;
use super::endpoint::Endpoint;

/// What was last seen of a service.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Of all its endpoints together.
    pub status: ObservedStatus,
    /// Each address that is known.
    pub endpoints: Vec<ObservedEndpoint>,
}

/// How a service looked, or one of its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObservedStatus {
    /// It answers.
    Available,
    /// Some of its endpoints do.
    Degraded,
    /// It does not answer, or says that it failed.
    Unavailable,
    /// Nobody has looked yet.
    Unknown,
}

/// What was last seen of one endpoint.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ObservedEndpoint {
    /// Such as `http://10.0.0.7:8002`.
    pub address: String,
    /// How it looked.
    pub status: ObservedStatus,
    /// Of its circuit breaker: `closed`, `open`, or `half-open` when the next call may be a probe.
    pub circuit: &'static str,
    /// Calls that are under way.
    pub calls: usize,
    /// How long an answer takes, as the balancer sees it; `null` before the first one.
    pub latency_ms: Option<f64>,
}

impl ServiceClient {
    /// What was last seen of the service, by calls and by probes.
    #[must_use]
    pub fn observed(&self) -> Observed {
        let now = Instant::now();
        let discovery = &self.shared.discovery;
        let endpoints: Vec<_> = discovery.known().endpoints().iter().map(|endpoint| look_at(endpoint, now)).collect();
        let all = |status| endpoints.iter().all(|endpoint: &ObservedEndpoint| endpoint.status == status);
        let any = |status| endpoints.iter().any(|endpoint: &ObservedEndpoint| endpoint.status == status);
        let status = match () {
            () if endpoints.is_empty() && discovery.has_failed() => ObservedStatus::Unavailable,
            () if all(ObservedStatus::Unknown) => ObservedStatus::Unknown,
            () if !any(ObservedStatus::Unavailable) => ObservedStatus::Available,
            () if any(ObservedStatus::Available) => ObservedStatus::Degraded,
            () => ObservedStatus::Unavailable,
        };
        Observed { status, endpoints }
    }
}

fn look_at(endpoint: &Endpoint, now: Instant) -> ObservedEndpoint {
    let circuit = endpoint.circuit(now);
    let status = match endpoint.seen() {
        _ if circuit == "open" => ObservedStatus::Unavailable,
        None => ObservedStatus::Unknown,
        Some(seen) if seen.well => ObservedStatus::Available,
        Some(_) => ObservedStatus::Unavailable,
    };
    let latency_ms = endpoint.latency(now).map(|seconds| (seconds * 1e6).round() / 1e3);
    ObservedEndpoint { address: endpoint.origin.shown(), status, circuit, calls: endpoint.calls(), latency_ms }
}
