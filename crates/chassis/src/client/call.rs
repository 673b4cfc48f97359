//! One call: what is sent, and how long it may take.

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::form_urlencoded;

use super::exchange::{Message, Reading, ReplyBody};
use super::path::path_of;
use super::{Answer, CallError, CallFailure, IDEMPOTENCY_HEADER, ServiceClient};
use crate::auth::IDENTITY_HEADER;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A call that is being put together. What is wrong with it, [`Call::send`] says.
#[must_use = "a call that is not sent does nothing"]
#[derive(Debug)]
pub struct Call<'a> {
    client: &'a ServiceClient,
    draft: Result<Draft, CallFailure>,
}

/// What will be sent.
#[derive(Debug)]
struct Draft {
    method: Method,
    /// The path and the query.
    target: String,
    headers: HeaderMap,
    body: Bytes,
    max_answer_bytes: usize,
}

impl<'a> Call<'a> {
    pub(super) fn new(client: &'a ServiceClient, method: Method, segments: &[&str]) -> Self {
        let draft = path_of(segments).map(|target| Draft::new(client, method, target));
        Self { client, draft }
    }

    pub(super) fn at(client: &'a ServiceClient, method: Method, target: &PathAndQuery) -> Self {
        Self { client, draft: Ok(Draft::new(client, method, target.to_string())) }
    }

    /// Adds a pair to the query, encoded as forms are.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.change(|draft| {
            let start = draft.target.find('?').unwrap_or_else(|| {
                draft.target.push('?');
                draft.target.len() - 1
            });
            form_urlencoded::Serializer::for_suffix(&mut draft.target, start + 1).append_pair(name, value);
            Ok(())
        })
    }

    /// Sends this as the body.
    pub fn json(self, body: &impl Serialize) -> Self {
        self.change(|draft| {
            draft.body = serde_json::to_vec(body).map_err(|error| format!("the body is no JSON: {error}"))?.into();
            draft.headers.insert(CONTENT_TYPE, JSON);
            Ok(())
        })
    }

    /// The same with JSON that is written already.
    pub fn written_json(self, text: Bytes) -> Self {
        self.change(|draft| {
            draft.body = text;
            draft.headers.insert(CONTENT_TYPE, JSON);
            Ok(())
        })
    }

    /// The same with a body of another kind.
    pub fn body(self, content_type: HeaderValue, body: Bytes) -> Self {
        self.change(|draft| {
            draft.body = body;
            draft.headers.insert(CONTENT_TYPE, content_type);
            Ok(())
        })
    }

    /// Lets the service do it once, however often it is asked with this key: 1 to 255 visible ASCII characters.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header(IDEMPOTENCY_HEADER, key)
    }

    /// Reads no more than so many bytes of the answer's body, where the client would read more.
    pub fn at_most(self, bytes: usize) -> Self {
        self.change(|draft| {
            draft.max_answer_bytes = draft.max_answer_bytes.min(bytes);
            Ok(())
        })
    }

    /// Shows a token.
    pub fn bearer(self, token: &SecretString) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {}", token.expose_secret()))
    }

    /// Sends this header, in place of one of that name which is there. Host, ids and deadline stay those of the client.
    pub fn header(self, name: HeaderName, text: &str) -> Self {
        self.change(|draft| {
            let mut value = HeaderValue::from_str(text).map_err(|_| format!("{name} cannot have this value"))?;
            value.set_sensitive(name == AUTHORIZATION || name == IDENTITY_HEADER);
            draft.headers.insert(name, value);
            Ok(())
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Draft) -> Result<(), String>) -> Self {
        self.draft = self.draft.and_then(|mut draft| match change(&mut draft) {
            Ok(()) => Ok(draft),
            Err(fault) => Err(CallFailure::Unsendable(fault)),
        });
        self
    }

    /// Makes the call: to the endpoint that seems the least loaded, and again elsewhere where that does no harm and helps. It
    /// ends within the client's limits, or when the request ends that it is made for.
    ///
    /// # Errors
    /// [`CallError`]. An answer is none, whatever its status.
    pub async fn send(self) -> Result<Answer, CallError> {
        let client = self.client;
        let failed = |failure| CallError::new(client.service(), failure);
        let mut message = self.draft.and_then(Draft::message).map_err(failed)?;
        message.encryption = client.encryption.as_ref().and_then(|it| it.form_of(client.service()));
        let (reply, attempts) = client.make(message, client.limits().timeout).await?;
        let body = match reply.body {
            ReplyBody::Whole(body) => body,
            ReplyBody::Coming(_) => return Err(failed(CallFailure::Unsendable("nobody reads the answer".into()))),
        };
        let service = client.service().clone();
        Ok(Answer { service, status: reply.status, headers: reply.headers, body, attempts })
    }
}

impl Draft {
    fn new(client: &ServiceClient, method: Method, target: String) -> Self {
        let headers = [(ACCEPT, JSON)].into_iter().collect();
        let max_answer_bytes = client.limits().max_answer_bytes;
        Self { method, target, headers, body: Bytes::new(), max_answer_bytes }
    }

    fn message(self) -> Result<Message, CallFailure> {
        let target = PathAndQuery::try_from(self.target);
        let target = target.map_err(|_| CallFailure::Unaddressable("the path fits into no URL"))?;
        let reading = Reading::Whole(self.max_answer_bytes);
        let Self { method, headers, body, .. } = self;
        Ok(Message { method, target, headers, body, reading, encryption: None })
    }
}
