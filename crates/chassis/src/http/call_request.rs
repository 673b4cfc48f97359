//! What somebody asks for who wants another service called: checked, before anything is sent.

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::Method;
use http::header::HeaderValue;
use http::uri::PathAndQuery;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::bearer::ShownToken;
use super::body::RawBody;
use super::call_path;
use super::extract::Query;
use super::idempotency::key_of;
use crate::client::{Call, ServiceClient};
use crate::error::{Error, FieldError, Kind};

/// What may be asked of another service. `CONNECT` and `TRACE` are about connections and not about things.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// A call that somebody asks for.
///
/// # Errors
/// 422 with each part that is wrong: the path, the method, the body. 400 for an `Idempotency-Key` that is none, and 401
/// for a token that no header can hold.
#[derive(Debug)]
pub(super) struct CallRequest {
    method: Method,
    target: PathAndQuery,
    /// Empty for none, else a JSON object, as it was written.
    body: Bytes,
    key: Option<String>,
    /// What the caller shows us. We show nothing of our own: a caller gets by us what it may have without us.
    token: Option<SecretString>,
}

#[derive(Deserialize)]
struct Asked {
    path: Option<String>,
    method: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for CallRequest {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let Query(asked) = Query::<Asked>::from_request_parts(&mut parts, state).await?;
        let shown = ShownToken::from_request_parts(&mut parts, state).await;
        let ShownToken(token) = shown.unwrap_or_else(|never| match never {});
        let key = key_of(&parts)?;
        let RawBody(body) = RawBody::from_request(Request::new(body), state).await?;
        if token.as_ref().is_some_and(|token| HeaderValue::from_str(token.expose_secret()).is_err()) {
            return Err(Error::new(Kind::Unauthorized, "Invalid or expired token"));
        }
        let target = call_path::parse(asked.path.as_deref().unwrap_or("/"));
        let target = target.map_err(|expected| FieldError::new(&["query", "path"], expected, "path"));
        match (target, method(asked.method.as_deref().unwrap_or("POST")), check_body(&body)) {
            (Ok(target), Ok(method), Ok(())) => Ok(Self { method, target, body, key, token }),
            (target, method, body) => {
                let wrong = [target.err(), method.err(), body.err()];
                Err(Error::invalid(wrong.into_iter().flatten().collect()))
            }
        }
    }
}

/// Methods are written in capitals, and many write them otherwise.
fn method(text: &str) -> Result<Method, FieldError> {
    let known = METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(text));
    let expected = "expected one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    known.ok_or_else(|| FieldError::new(&["query", "method"], expected, "enum"))
}

fn check_body(body: &[u8]) -> Result<(), FieldError> {
    let wrong = |expected, kind| Err(FieldError::new(&["body"], expected, kind));
    if body.is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(value) if value.get().starts_with('{') => Ok(()),
        Ok(_) => wrong("expected an object", "shape"),
        Err(_) => wrong("expected JSON", "json_invalid"),
    }
}

impl CallRequest {
    /// The call of this service. It says that it is made for somebody: else our certificate would speak for whoever
    /// asks.
    pub(super) fn put_to(self, client: &ServiceClient) -> Call<'_> {
        let mut call = client.call_at(self.method, &self.target).header(http::header::VIA, "1.1 keelson-call");
        if !self.body.is_empty() {
            call = call.written_json(self.body);
        }
        if let Some(key) = &self.key {
            call = call.idempotency_key(key);
        }
        if let Some(token) = &self.token {
            call = call.bearer(token);
        }
        call
    }
}
