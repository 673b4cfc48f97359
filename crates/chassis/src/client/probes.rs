//! Whether endpoints are alive: looks past circuits, retries and what is learned of calls, about which they say nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};
use http::Method;
use http::header::USER_AGENT;
use http::uri::PathAndQuery;
use tokio::time::Instant;
use tracing::debug;

use super::endpoint::Endpoint;
use super::exchange::{Message, Reading, attempt};
use super::retry::Broken;
use super::work::Inner;
use super::{CallFailure, PROBE_AGENT};

const PROBES_AT_ONCE: usize = 8;
/// Bytes of an answer that says who is alive.
const MOST_OF_A_PROBE: usize = 64 << 10;

impl Inner {
    /// Whether any endpoint is alive.
    pub(super) async fn ping(&self, patience: Duration) -> Result<(), CallFailure> {
        let now = Instant::now();
        let balancer = self.discovery.current(now, now + patience).await.ok_or(CallFailure::Timeout(patience))?;
        if balancer.endpoints().is_empty() {
            return Err(CallFailure::NoEndpoint(self.discovery.trouble()));
        }
        let mut answers: FuturesUnordered<_> = balancer.endpoints().iter().map(|it| probe(it, patience)).collect();
        let mut last = CallFailure::Timeout(patience);
        while let Some(answered) = answers.next().await {
            match answered {
                Ok(()) => return Ok(()),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Looks whether those are alive of which nobody has seen anything for so long.
    pub(super) async fn probe_idle(&self, idle: Duration, patience: Duration) {
        let now = Instant::now();
        let Some(balancer) = self.discovery.current(now, now + patience).await else { return };
        let unseen = |endpoint: &&Arc<Endpoint>| endpoint.seen().is_none_or(|seen| seen.at + idle <= now);
        let unseen: Vec<_> = balancer.endpoints().iter().filter(unseen).cloned().collect();
        let probes = stream::iter(unseen).map(|endpoint| async move { probe(&endpoint, patience).await });
        let mut probes = probes.buffer_unordered(PROBES_AT_ONCE);
        while let Some(answered) = probes.next().await {
            if let Err(failure) = answered {
                debug!(peer.service = %self.service, cause = %failure, "{} is not alive", self.service);
            }
        }
    }
}

/// Asks one endpoint `/health`, which looks at nothing else, and notes what is seen.
async fn probe(endpoint: &Endpoint, patience: Duration) -> Result<(), CallFailure> {
    let headers = [(USER_AGENT, PROBE_AGENT)].into_iter().collect();
    let target = PathAndQuery::from_static("/health");
    let reading = Reading::Whole(MOST_OF_A_PROBE);
    let (method, body, encryption) = (Method::GET, Bytes::new(), None);
    let mut message = Message { method, target, headers, body, reading, encryption };
    let deadline = Instant::now() + patience;
    let answered = attempt(endpoint, &mut message, deadline, deadline).await;
    let ended = match answered {
        Ok(reply) if reply.status.is_success() => Ok(()),
        Ok(reply) => Err(CallFailure::Unavailable(format!("it answered {}", reply.status))),
        Err(Broken { failure: CallFailure::Timeout(_), .. }) => Err(CallFailure::Timeout(patience)),
        Err(broken) => Err(broken.failure),
    };
    endpoint.saw(ended.is_ok(), Instant::now());
    ended
}
