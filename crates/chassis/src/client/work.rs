//! The work of a call: a place among all calls, as many attempts as are good, and what is learned of each.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};
use http::{HeaderName, StatusCode};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use super::balancer::{Balancer, Wish};
use super::breaker::Change;
use super::budget::RetryBudget;
use super::discovery::Discovery;
use super::endpoint::{Endpoint, Passage};
use super::exchange::{Message, Reply, attempt};
use super::retry::{Attempts, Broken, Next};
use super::{CallError, CallFailure, IDEMPOTENCY_HEADER, ServiceClient};
use crate::telemetry::correlation::{Scope, with_current};
use crate::telemetry::metrics::{CallMetrics, CallOutcome, CallRefusal, RetryDecision};

const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACE_HEADER: HeaderName = HeaderName::from_static("traceparent");

/// How long a call waits for others of the same service to end, when there are too many.
const BULKHEAD_PATIENCE: Duration = Duration::from_millis(100);
/// Whoever has less time left than this, or than a quarter of what a call may take, tries nothing out with it.
const LITTLE_TIME: Duration = Duration::from_millis(500);
/// What a failure counts for, where a call may take longer than that: whoever fails at once must not look fast, nor be
/// shunned for minutes.
const MOST_PENALTY: Duration = Duration::from_secs(2);
/// A service that knows the deadline gives up just before it.
const JUST_BEFORE: Duration = Duration::from_millis(20);
/// How long a call that has nowhere else to go waits for another address.
const LOOK_PATIENCE: Duration = Duration::from_millis(500);

/// What the clones of a client share.
pub(super) struct Inner {
    pub(super) service: Arc<str>,
    pub(super) discovery: Arc<Discovery>,
    pub(super) budget: RetryBudget,
    pub(super) metrics: CallMetrics,
}

impl ServiceClient {
    /// Makes a call within this time, or until the request ends that it is made for. Answers how many attempts it took, too.
    pub(super) async fn make(&self, mut message: Message, timeout: Duration) -> Result<(Reply, usize), CallError> {
        let inner = &*self.shared;
        let begun = Instant::now();
        let deadline = with_current(|scope| {
            hand_on(scope, &mut message.headers);
            scope.deadline
        });
        let deadline = deadline.flatten().unwrap_or(begun + timeout).min(begun + timeout);

        let mut counted = inner.metrics.begin(begun);
        let mut attempts = Attempts::new(&message.method, message.headers.contains_key(IDEMPOTENCY_HEADER), deadline);
        let ended = async {
            let _place = self.place(deadline).await?;
            inner.attempts(&mut message, timeout, deadline, &mut attempts).await
        };
        let ended = ended.await.map_err(|failure| match failure {
            CallFailure::Timeout(_) => CallFailure::Timeout(deadline.saturating_duration_since(begun)),
            failure => failure,
        });
        counted.outcome = outcome(ended.as_ref());
        let service = &inner.service;
        match &ended {
            Ok(reply) => debug!(peer.service = %service, status = reply.status.as_u16(), "{service} answered"),
            Err(failure) => debug!(peer.service = %service, cause = %failure, "{service} gave no answer"),
        }
        let made = attempts.made();
        let reply = ended.map_err(|failure| CallError::new(service, failure).after(made))?;
        Ok((reply, made))
    }

    /// Waits a little for one of the places that calls of this service may take.
    async fn place(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, CallFailure> {
        if let Ok(place) = self.bulkhead.try_acquire() {
            return Ok(place);
        }
        let patience = deadline.min(Instant::now() + BULKHEAD_PATIENCE);
        match timeout_at(patience, self.bulkhead.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => {
                self.shared.metrics.refused(CallRefusal::BulkheadFull);
                Err(CallFailure::NoEndpoint("too many calls of it are under way".into()))
            }
        }
    }
}

/// Puts the ids of the request at hand on the call, so that both sides' logs and traces meet.
fn hand_on(scope: &Scope, headers: &mut HeaderMap) {
    if let Some(value) = scope.correlation_id.as_ref().and_then(|id| HeaderValue::from_str(id.as_str()).ok()) {
        headers.insert(CORRELATION_HEADER, value);
    }
    if let Some(value) = scope.trace.and_then(|trace| HeaderValue::from_str(&trace.traceparent()).ok()) {
        headers.insert(TRACE_HEADER, value);
    }
}

impl Inner {
    /// As many attempts as it takes, and as are good.
    async fn attempts(
        &self,
        message: &mut Message,
        timeout: Duration,
        deadline: Instant,
        attempts: &mut Attempts,
    ) -> Result<Reply, CallFailure> {
        let Some(mut balancer) = self.discovery.current(Instant::now(), deadline).await else {
            return Err(CallFailure::Timeout(timeout));
        };
        let mut tried = Vec::new();
        let mut last = None;
        self.budget.earn();
        loop {
            let now = Instant::now();
            let has_time = deadline.saturating_duration_since(now) >= LITTLE_TIME.min(timeout / 4);
            let wish = Wish { can_probe: attempts.is_safe() && has_time, tried: &tried };
            let Some((index, passage)) = balancer.pick(wish, now) else {
                return match last {
                    Some(last) => last,
                    None => Err(self.nowhere(&balancer)),
                };
            };
            tried.push(index);
            let others = balancer.has_others(&[index], now);
            let was_probe = passage.is_probe();
            let until = if was_probe && others { now + (deadline - now) / 2 } else { deadline };
            let ended = attempt(passage.endpoint, message, until, deadline).await;
            let ended = ended.and_then(|reply| unless_out_of_time(reply, now, deadline));
            let address = passage.endpoint.origin.address;
            self.learn(passage, &ended, timeout, others);
            if matches!(&ended, Err(Broken { never_sent: true, failure: CallFailure::NoEndpoint(_), .. })) {
                balancer = self.after_a_miss(balancer, &mut tried, deadline).await;
            }
            let next = match balancer.has_others(&tried, Instant::now()) {
                true if was_probe => Next::AfterProbe,
                true => Next::Elsewhere,
                false => Next::SamePlace,
            };
            let (decision, pause) = attempts.next(&ended, &self.budget, next);
            self.metrics.decided(decision);
            let ended = ended.map_err(|broken| broken.failure);
            if decision != RetryDecision::NotNeeded {
                let (service, attempt, cause) = (&self.service, attempts.made(), cause(&ended));
                debug!(peer.service = %service, peer.address = %address, attempt, cause, "{decision}");
            }
            if decision != RetryDecision::Retried {
                return ended;
            }
            last = Some(ended);
            sleep(pause).await;
        }
    }

    /// Why a call goes nowhere.
    fn nowhere(&self, balancer: &Balancer) -> CallFailure {
        if balancer.endpoints().is_empty() {
            self.metrics.refused(CallRefusal::NoAddress);
            return CallFailure::NoEndpoint(self.discovery.trouble());
        }
        self.metrics.refused(CallRefusal::CircuitOpen);
        CallFailure::NoEndpoint("its circuit is open: too many calls failed just now".into())
    }

    /// The endpoints after nobody listened at one of them, and which of them were tried.
    async fn after_a_miss(&self, before: Arc<Balancer>, tried: &mut Vec<usize>, deadline: Instant) -> Arc<Balancer> {
        let at = Instant::now();
        let patience = if before.has_others(tried, at) { at } else { deadline.min(at + LOOK_PATIENCE) };
        let now = self.discovery.after_a_miss(at, patience).await;
        if !Arc::ptr_eq(&before, &now) {
            let old: Vec<_> = tried.iter().filter_map(|index| before.endpoints().get(*index)).collect();
            let was_tried = |endpoint: &Arc<Endpoint>| old.iter().any(|it| Arc::ptr_eq(it, endpoint));
            let indexes = now.endpoints().iter().enumerate().filter(|(_, it)| was_tried(it)).map(|(index, _)| index);
            *tried = indexes.collect();
        }
        now
    }

    /// Lets the endpoint's circuit and its share of calls know how an attempt ended.
    fn learn(&self, passage: Passage<'_>, ended: &Result<Reply, Broken>, timeout: Duration, others: bool) {
        let (now, penalty) = (Instant::now(), timeout.min(MOST_PENALTY));
        let (service, endpoint) = (&self.service, passage.endpoint);
        let change = match ended {
            Ok(reply) if !is_failure(reply.status) => passage.succeeded(now),
            // It is there, and was asked for more than is wanted of it.
            Err(Broken { failure: CallFailure::TooLarge(_), .. }) => passage.succeeded(now),
            // Who waits for less long than a service may take learns nothing of it: else the impatience of one would be
            // everybody's. Nor does who asks nothing.
            Err(Broken { failure: CallFailure::Timeout(_), .. }) if passage.took(now) < penalty / 2 => {
                return;
            }
            Err(Broken { failure: CallFailure::Unaddressable(_) | CallFailure::Unsendable(_), .. }) => return,
            Err(Broken { on_dead_connection: true, .. }) => return,
            Ok(_) | Err(_) => passage.failed(penalty, others, now),
        };
        match change {
            Change::Opened => {
                self.metrics.circuit_opened();
                warn!(peer.service = %service, peer.address = endpoint.origin.shown(), "the circuit of {service} is open");
            }
            Change::Closed => {
                info!(peer.service = %service, peer.address = endpoint.origin.shown(), "the circuit of {service} is closed");
            }
            Change::Recovered | Change::None => {}
        }
    }
}

/// Whether the service gave up since the deadline came, which it was told: that is no failure of it.
fn unless_out_of_time(reply: Reply, begun: Instant, deadline: Instant) -> Result<Reply, Broken> {
    let gave_up = matches!(reply.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
    let now = Instant::now();
    if gave_up && now + JUST_BEFORE >= deadline {
        let failure = CallFailure::Timeout(now.saturating_duration_since(begun));
        return Err(Broken { failure, never_sent: false, on_dead_connection: false });
    }
    Ok(reply)
}

/// Whether the service failed, and did not only refuse what nobody could do (501, 505).
fn is_failure(status: StatusCode) -> bool {
    let refused = [StatusCode::NOT_IMPLEMENTED, StatusCode::HTTP_VERSION_NOT_SUPPORTED];
    status.is_server_error() && !refused.contains(&status)
}

/// For the log.
fn cause(ended: &Result<Reply, CallFailure>) -> String {
    ended.as_ref().map_or_else(ToString::to_string, |reply| format!("it answered {}", reply.status))
}

fn outcome(ended: Result<&Reply, &CallFailure>) -> CallOutcome {
    match ended {
        Ok(reply) if reply.status.is_server_error() => CallOutcome::Failed,
        Ok(_) => CallOutcome::Answered,
        Err(CallFailure::Timeout(_)) => CallOutcome::Timeout,
        Err(CallFailure::TooLarge(_)) => CallOutcome::TooLarge,
        Err(_) => CallOutcome::Unavailable,
    }
}
