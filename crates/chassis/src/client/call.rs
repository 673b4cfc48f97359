//! One call: what is sent, and how long it may take.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use super::balancer::Wish;
use super::breaker::Change;
use super::endpoint::{Endpoint, Passage};
use super::error::causes;
use super::path::{locate, target};
use super::retry::{Attempts, Broken, Next};
use super::{Answer, CallError, CallFailure, DEADLINE_HEADER, Inner, PROBE_AGENT, ServiceClient};
use crate::telemetry::correlation::{Scope, with_current};
use crate::telemetry::metrics::{CallOutcome, CallRefusal, RetryDecision};

const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACE_HEADER: HeaderName = HeaderName::from_static("traceparent");
const IDEMPOTENCY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long a call waits for others of the same service to end, when there are too many.
const BULKHEAD_PATIENCE: Duration = Duration::from_millis(100);

/// A call that is being put together. What is wrong with it, [`Call::send`] says.
#[must_use = "a call that is not sent does nothing"]
#[derive(Debug)]
pub struct Call<'a> {
    client: &'a ServiceClient,
    message: Result<Message, CallFailure>,
}

/// What is sent, as often as it takes.
#[derive(Debug)]
struct Message {
    method: Method,
    /// The path and the query, of no service.
    target: Url,
    headers: HeaderMap,
    body: Bytes,
    max_answer_bytes: usize,
}

impl<'a> Call<'a> {
    pub(super) fn new(client: &'a ServiceClient, method: Method, segments: &[&str]) -> Self {
        let message = Message::new(method, segments, client.0.limits.max_answer_bytes);
        Self { client, message }
    }

    /// Adds a pair to the query, encoded as forms are.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.change(|message| {
            message.target.query_pairs_mut().append_pair(name, value);
            Ok(())
        })
    }

    /// Sends this as the body.
    pub fn json(self, body: &impl Serialize) -> Self {
        self.change(|message| {
            message.body = serde_json::to_vec(body).map_err(|error| format!("the body is no JSON: {error}"))?.into();
            message.headers.insert(CONTENT_TYPE, JSON);
            Ok(())
        })
    }

    /// Lets the service do it once, however often it is asked with this key: 1 to 255 visible ASCII characters.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header(IDEMPOTENCY_HEADER, key)
    }

    /// Reads no more than so many bytes of the answer's body, where the client would read more.
    pub fn at_most(self, bytes: usize) -> Self {
        self.change(|message| {
            message.max_answer_bytes = message.max_answer_bytes.min(bytes);
            Ok(())
        })
    }

    /// Shows a token.
    pub fn bearer(self, token: &SecretString) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {}", token.expose_secret()))
    }

    fn header(self, name: HeaderName, text: &str) -> Self {
        self.change(|message| {
            let mut value = HeaderValue::from_str(text).map_err(|_| format!("{name} cannot have this value"))?;
            value.set_sensitive(name == AUTHORIZATION);
            message.headers.insert(name, value);
            Ok(())
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Message) -> Result<(), String>) -> Self {
        let changed = self.message.and_then(|mut message| match change(&mut message) {
            Ok(()) => Ok(message),
            Err(fault) => Err(CallFailure::Unsendable(fault)),
        });
        self.message = changed;
        self
    }

    /// Makes the call: to the endpoint that seems the least loaded, and again elsewhere where that does no harm and helps. It
    /// ends within the client's limits, or when the request ends that it is made for.
    ///
    /// # Errors
    /// [`CallError`]. An answer is none, whatever its status.
    pub async fn send(self) -> Result<Answer, CallError> {
        let client = &*self.client.0;
        let failed = |failure| CallError::new(&client.service, failure);
        let mut message = self.message.map_err(failed)?;
        let begun = Instant::now();
        let deadline = with_current(|scope| scope.deadline).flatten();
        let deadline = deadline.unwrap_or(begun + client.limits.timeout).min(begun + client.limits.timeout);
        with_current(|scope| hand_on(scope, &mut message.headers));

        let mut counted = client.metrics.begin(begun);
        let ended = client.with_a_place(&message, deadline).await.map_err(|failure| match failure {
            CallFailure::Timeout(_) => CallFailure::Timeout(deadline.saturating_duration_since(begun)),
            failure => failure,
        });
        counted.outcome = outcome(&ended);
        let service = &client.service;
        match &ended {
            Ok(answer) => debug!(peer.service = %service, status = answer.status.as_u16(), "{service} answered"),
            Err(failure) => debug!(peer.service = %service, cause = %failure, "{service} gave no answer"),
        }
        ended.map_err(failed)
    }
}

/// Puts the ids of the request at hand on the call, so that both sides' logs and traces meet.
fn hand_on(scope: &Scope, headers: &mut HeaderMap) {
    let correlation_id = scope.correlation_id.as_ref().and_then(|id| HeaderValue::from_str(id.as_str()).ok());
    headers.extend(correlation_id.map(|value| (CORRELATION_HEADER, value)));
    let trace = scope.trace.and_then(|trace| HeaderValue::from_str(&trace.traceparent()).ok());
    headers.extend(trace.map(|value| (TRACE_HEADER, value)));
}

impl Inner {
    /// Waits a little for one of the places that calls of this service may take.
    async fn with_a_place(&self, message: &Message, deadline: Instant) -> Result<Answer, CallFailure> {
        let patience = deadline.min(Instant::now() + BULKHEAD_PATIENCE);
        let Ok(Ok(_place)) = timeout_at(patience, self.bulkhead.acquire()).await else {
            self.metrics.refused(CallRefusal::BulkheadFull);
            return Err(CallFailure::Unavailable("too many calls of it are under way".into()));
        };
        self.attempts(message, deadline).await
    }

    /// As many attempts as it takes, and as are good.
    async fn attempts(&self, message: &Message, deadline: Instant) -> Result<Answer, CallFailure> {
        let has_key = message.headers.contains_key(IDEMPOTENCY_HEADER);
        let mut attempts = Attempts::new(&message.method, has_key, deadline);
        let mut tried = Vec::new();
        let mut last = None;
        self.budget.earn();
        loop {
            let now = Instant::now();
            let has_time = deadline.saturating_duration_since(now) >= self.limits.timeout / 4;
            let wish = Wish { can_probe: attempts.is_safe() && has_time, tried: &tried };
            let Some((index, passage)) = self.balancer.pick(wish, now) else {
                let open = || {
                    self.metrics.refused(CallRefusal::CircuitOpen);
                    CallFailure::Unavailable("its circuit is open: too many calls failed just now".into())
                };
                return last.unwrap_or_else(|| Err(open()));
            };
            tried.push(index);
            let others = self.balancer.has_others(&[index], now);
            let until = if passage.is_probe() && others { now + (deadline - now) / 2 } else { deadline };
            let was_probe = passage.is_probe();
            let ended = attempt(self, passage.endpoint, message, until, deadline).await;
            self.learn(passage, &ended, others);
            let next = match self.balancer.has_others(&tried, Instant::now()) {
                true if was_probe => Next::AfterProbe,
                true => Next::Elsewhere,
                false => Next::SamePlace,
            };
            let (decision, pause) = attempts.next(&ended, &self.budget, next);
            self.metrics.decided(decision);
            let ended = ended.map_err(|broken| broken.failure);
            if decision != RetryDecision::Retried {
                if decision != RetryDecision::NotNeeded {
                    debug!(peer.service = %self.service, "not retried: {decision}");
                }
                return ended;
            }
            last = Some(ended);
            sleep(pause).await;
        }
    }

    /// Lets the endpoint's circuit and its share of calls know how an attempt ended.
    fn learn(&self, passage: Passage<'_>, ended: &Result<Answer, Broken>, others: bool) {
        let (now, penalty) = (Instant::now(), self.limits.timeout);
        let (service, endpoint) = (&self.service, passage.endpoint);
        let change = match ended {
            Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => passage.was_refused(penalty, now),
            Ok(answer) if !answer.status.is_server_error() => passage.succeeded(now),
            // It is there, and was asked for more than is wanted of it.
            Err(Broken { failure: CallFailure::TooLarge(_), .. }) => passage.succeeded(now),
            // Whoever has little time left learns nothing of the service, and whoever asks nothing neither.
            Err(Broken { failure: CallFailure::Timeout(_), .. }) if passage.took(now) < penalty / 4 => return,
            Err(Broken { failure: CallFailure::Unaddressable(_) | CallFailure::Unsendable(_), .. }) => return,
            Ok(_) | Err(_) => passage.failed(penalty, others, now),
        };
        match change {
            Change::Opened => {
                self.metrics.circuit_opened();
                warn!(peer.service = %service, peer.address = %endpoint.url, "the circuit of {service} is open");
            }
            Change::Closed => {
                info!(peer.service = %service, peer.address = %endpoint.url, "the circuit of {service} is closed");
            }
            Change::Recovered | Change::None => {}
        }
    }

    /// Whether any endpoint is alive; past circuits, retries and what is learned of calls, about which this says nothing.
    pub(super) async fn ping(&self, patience: Duration) -> Result<(), CallFailure> {
        let mut message = Message::new(Method::GET, &["health"], self.limits.max_answer_bytes)?;
        message.headers.insert(USER_AGENT, PROBE_AGENT);
        let deadline = Instant::now() + patience;
        let asked = self.balancer.endpoints().iter().map(|it| attempt(self, it, &message, deadline, deadline));
        let mut answers: FuturesUnordered<_> = asked.collect();
        let mut last = CallFailure::Timeout(patience);
        while let Some(answered) = answers.next().await {
            match answered {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => last = CallFailure::Unavailable(format!("it answered {}", answer.status)),
                Err(Broken { failure: CallFailure::Timeout(_), .. }) => last = CallFailure::Timeout(patience),
                Err(broken) => last = broken.failure,
            }
        }
        Err(last)
    }
}

impl Message {
    fn new(method: Method, segments: &[&str], max_answer_bytes: usize) -> Result<Self, CallFailure> {
        let headers = [(ACCEPT, JSON)].into_iter().collect();
        Ok(Self { method, target: target(segments)?, headers, body: Bytes::new(), max_answer_bytes })
    }
}

/// Sends a message to one endpoint and reads the answer, until then; its caller waits until the deadline.
async fn attempt(
    client: &Inner,
    endpoint: &Endpoint,
    message: &Message,
    until: Instant,
    deadline: Instant,
) -> Result<Answer, Broken> {
    let begun = Instant::now();
    let late = |_| {
        let took = begun.elapsed();
        let failure = match until < deadline {
            true => CallFailure::Unavailable(format!("no answer within {took:?}")),
            false => CallFailure::Timeout(took),
        };
        Err(Broken { failure, never_sent: false })
    };
    timeout_at(until, exchange(client, endpoint, message, until)).await.unwrap_or_else(late)
}

async fn exchange(client: &Inner, endpoint: &Endpoint, message: &Message, deadline: Instant) -> Result<Answer, Broken> {
    let not_sent = |failure| Broken { failure, never_sent: true };
    let left = deadline.saturating_duration_since(Instant::now());
    let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    if left_ms == 0 {
        return Err(not_sent(CallFailure::Timeout(left)));
    }
    let url = locate(&endpoint.url, &message.target).map_err(not_sent)?;
    let mut request = reqwest::Request::new(message.method.clone(), url);
    *request.headers_mut() = message.headers.clone();
    request.headers_mut().insert(DEADLINE_HEADER, HeaderValue::from(left_ms));
    if !message.body.is_empty() {
        *request.body_mut() = Some(message.body.clone().into());
    }
    let mut response = endpoint.http.execute(request).await.map_err(broken)?;
    let body = read(&mut response, message.max_answer_bytes).await?;
    Ok(Answer {
        service: Arc::clone(&client.service),
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

async fn read(response: &mut reqwest::Response, most: usize) -> Result<Bytes, Broken> {
    let too_large = || Broken { failure: CallFailure::TooLarge(most), never_sent: false };
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |bytes| bytes > most) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The path stays out of it, which may have an id.
fn broken(error: reqwest::Error) -> Broken {
    let never_sent = error.is_connect();
    Broken { failure: CallFailure::Unavailable(causes(&error.without_url())), never_sent }
}

fn outcome(ended: &Result<Answer, CallFailure>) -> CallOutcome {
    match ended {
        Ok(answer) if answer.status.is_server_error() => CallOutcome::Failed,
        Ok(_) => CallOutcome::Answered,
        Err(CallFailure::Timeout(_)) => CallOutcome::Timeout,
        Err(CallFailure::TooLarge(_)) => CallOutcome::TooLarge,
        Err(_) => CallOutcome::Unavailable,
    }
}
