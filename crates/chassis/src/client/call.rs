//! One call: what is sent, and how long it may take.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::error::causes;
use super::path::{check_length, locate};
use super::{Answer, CallError, CallFailure, Inner, PROBE_AGENT, ServiceClient};
use crate::telemetry::correlation::{Scope, with_current};
use crate::telemetry::metrics::CallOutcome;

/// Says in how many milliseconds the caller no longer waits. It is a time and no instant, so that no clocks need agree.
///
/// Source: <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-expected-rq-timeout-ms>
const DEADLINE_HEADER: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
const CORRELATION_HEADER: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACE_HEADER: HeaderName = HeaderName::from_static("traceparent");
const IDEMPOTENCY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

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
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    max_answer_bytes: usize,
}

impl<'a> Call<'a> {
    pub(super) fn new(client: &'a ServiceClient, method: Method, segments: &[&str]) -> Self {
        let message = locate(&client.0.url, segments).map(|url| {
            let headers = [(ACCEPT, JSON)].into_iter().collect();
            let max_answer_bytes = client.0.limits.max_answer_bytes;
            Message { method, url, headers, body: Bytes::new(), max_answer_bytes }
        });
        Self { client, message }
    }

    /// Adds a pair to the query, encoded as forms are.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.change(|message| {
            message.url.query_pairs_mut().append_pair(name, value);
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

    /// Says that it only looks who is alive.
    pub(super) fn probe(self) -> Self {
        self.change(|message| {
            message.headers.insert(USER_AGENT, PROBE_AGENT);
            Ok(())
        })
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

    /// Makes the call, once. It ends within the client's limits, or when the request ends that it is made for.
    ///
    /// # Errors
    /// [`CallError`]. An answer is none, whatever its status.
    pub async fn send(self) -> Result<Answer, CallError> {
        let client = &*self.client.0;
        let service = &client.service;
        let mut message = self
            .message
            .and_then(|message| check_length(&message.url).map(|()| message))
            .map_err(|failure| CallError::new(service, failure))?;
        let begun = Instant::now();
        let deadline = with_current(|scope| scope.deadline).flatten();
        let deadline = deadline.unwrap_or(begun + client.limits.timeout).min(begun + client.limits.timeout);
        with_current(|scope| hand_on(scope, &mut message.headers));

        let mut counted = client.metrics.begin(begun);
        let ended = match timeout_at(deadline, attempt(client, &message, deadline)).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(CallFailure::Timeout(deadline.saturating_duration_since(begun))),
        };
        counted.outcome = outcome(&ended);
        match &ended {
            Ok(answer) => debug!(peer.service = %service, status = answer.status.as_u16(), "{service} answered"),
            Err(failure) => debug!(peer.service = %service, cause = %failure, "{service} gave no answer"),
        }
        ended.map_err(|failure| CallError::new(service, failure))
    }
}

/// What a call hands on of the work that it is made for.
fn hand_on(scope: &Scope, headers: &mut HeaderMap) {
    let correlation_id = scope.correlation_id.as_ref().and_then(|id| HeaderValue::from_str(id.as_str()).ok());
    headers.extend(correlation_id.map(|value| (CORRELATION_HEADER, value)));
    let trace = scope.trace.and_then(|trace| HeaderValue::from_str(&trace.traceparent()).ok());
    headers.extend(trace.map(|value| (TRACE_HEADER, value)));
}

/// Sends a message to one address and reads the answer.
async fn attempt(client: &Inner, message: &Message, deadline: Instant) -> Result<Answer, CallFailure> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    if left_ms == 0 {
        return Err(CallFailure::Timeout(left));
    }
    let mut request = reqwest::Request::new(message.method.clone(), message.url.clone());
    *request.headers_mut() = message.headers.clone();
    request.headers_mut().insert(DEADLINE_HEADER, HeaderValue::from(left_ms));
    if !message.body.is_empty() {
        *request.body_mut() = Some(message.body.clone().into());
    }
    let mut response = client.http.execute(request).await.map_err(unavailable)?;
    let body = read(&mut response, message.max_answer_bytes).await?;
    Ok(Answer {
        service: Arc::clone(&client.service),
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

async fn read(response: &mut reqwest::Response, most: usize) -> Result<Bytes, CallFailure> {
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |bytes| bytes > most) {
        return Err(CallFailure::TooLarge(most));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > most {
            return Err(CallFailure::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The path stays out of it, which may have an id.
fn unavailable(error: reqwest::Error) -> CallFailure {
    CallFailure::Unavailable(causes(&error.without_url()))
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
