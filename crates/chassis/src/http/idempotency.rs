//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a request that is sent again is done once, and
//! answered each time as it was the first time.
//!
//! A handler takes its body as [`Keyed`], begins with [`Idempotency::begin`], and hands the [`StoredAnswer`] to its
//! store, which keeps it in the transaction of the change itself. So there is no moment at which one of the two exists
//! alone, and no lock that a process could leave behind.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bearer::Shown;
use super::body::RawBody;
use super::extract::parse;
use super::rate_limit::network_of;
use crate::auth::Caller;
use crate::clock::Clock;
use crate::error::{Error, FieldError, Kind};
use crate::telemetry::correlation::with_current;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is one of before, as Stripe's API names it.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Characters of the longest key.
const MAX_KEY_CHARS: usize = 255;

/// A request as its key names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// A digest of the caller, the method, the path and the key; 43 characters. Who shows no token is known by the network.
    pub id: String,
    /// A digest of the body, 43 characters. A member `password` is left out: nobody who reads the store is to try
    /// passwords against it.
    pub fingerprint: String,
}

/// A JSON body, with the key that its request has.
///
/// # Errors
/// Those of [`Json`](super::Json); 400 for a key that is none.
#[derive(Debug, Clone)]
pub struct Keyed<T> {
    /// `None` for a request without one.
    pub key: Option<RequestKey>,
    /// The body.
    pub body: T,
}

/// An answer as a store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The request that it answers.
    pub key: RequestKey,
    /// Status, headers and body, as text.
    pub answer: String,
    /// When it may be forgotten; to the microsecond.
    pub expires_at: Timestamp,
}

/// The form of [`StoredAnswer::answer`].
#[derive(Serialize, Deserialize)]
struct Recorded {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Requests under a key, of one service.
#[derive(Debug)]
pub struct Idempotency {
    in_flight: Arc<Mutex<HashSet<String>>>,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
}

/// A request under a key, while it is worked on. Others with the same key are refused until this is dropped.
#[derive(Debug)]
pub struct Turn {
    in_flight: Arc<Mutex<HashSet<String>>>,
    id: String,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Keyed<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let named = key_of(&parts)?;
        let RawBody(bytes) = RawBody::from_request(Request::new(body), state).await?;
        let body = parse(&bytes)?;
        let key = match named {
            Some(key) => Some(RequestKey::new(&key, &caller(&parts), &parts, &without_password(&bytes)?)),
            None => None,
        };
        Ok(Self { key, body })
    }
}

/// Who asks: the bearer of a good token, on public routes too, or else somebody of a network.
fn caller(parts: &Parts) -> String {
    let guarded = parts.extensions.get::<Caller>().and_then(Caller::subject);
    let shown = match parts.extensions.get::<Shown>() {
        Some(Shown::Good(claims)) => Some(claims.sub.as_str()),
        _ => None,
    };
    let network = || with_current(|scope| scope.client).flatten().map(network_of);
    match guarded.or(shown) {
        Some(subject) => format!("subject {subject}"),
        None => format!("network {:?}", network()),
    }
}

/// The body without what may not be kept in any form. It may hold what its type has passed over and no value can: a number
/// beyond all bounds, or too many levels.
fn without_password(body: &[u8]) -> Result<Vec<u8>, Error> {
    let unfit = |_| {
        let expected = "expected numbers up to 1.8e308 and at most 127 levels, where there is an Idempotency-Key";
        Error::invalid(vec![FieldError::new(&["body"], expected, "json_invalid")])
    };
    let mut value: Value = serde_json::from_slice(body).map_err(unfit)?;
    if let Value::Object(members) = &mut value {
        members.shift_remove("password");
    }
    serde_json::to_vec(&value).map_err(Error::internal)
}

/// The key of a request, if it has one.
///
/// # Errors
/// 400 for one that is none, and for several.
pub(super) fn key_of(parts: &Parts) -> Result<Option<String>, Error> {
    let mut values = parts.headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let is_key = (1..=MAX_KEY_CHARS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_key || values.next().is_some() {
        let expected = format!("Idempotency-Key: expected one key of 1 to {MAX_KEY_CHARS} visible ASCII characters");
        return Err(Error::new(Kind::BadRequest, expected));
    }
    Ok(Some(key.to_owned()))
}

impl RequestKey {
    fn new(key: &str, caller: &str, parts: &Parts, body: &[u8]) -> Self {
        let mut id = digest::Context::new(&digest::SHA256);
        // None of them can hold a zero byte.
        for part in [caller, parts.method.as_str(), parts.uri.path(), key] {
            id.update(part.as_bytes());
            id.update(&[0]);
        }
        let fingerprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, body));
        Self { id: URL_SAFE_NO_PAD.encode(id.finish()), fingerprint }
    }

    /// The answer to the request with this id that was done before, whose body has this fingerprint.
    ///
    /// # Errors
    /// 422 when this request has another body.
    pub fn answer_as_before(&self, fingerprint: &str, mut answer: Response) -> Result<Response, Error> {
        if self.fingerprint != fingerprint {
            return Err(Error::new(Kind::Invalid, "Idempotency-Key was used before with another body"));
        }
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(answer)
    }
}

impl Idempotency {
    /// Answers are kept for `lifetime`.
    #[must_use]
    pub fn new(lifetime: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { in_flight: Arc::default(), lifetime, clock }
    }

    /// Begins the work on a request; `None` for one without a key.
    ///
    /// # Errors
    /// 409 while this process works on another one with the same key.
    pub fn begin(&self, key: Option<&RequestKey>) -> Result<Option<Turn>, Error> {
        let Some(RequestKey { id, .. }) = key else { return Ok(None) };
        let is_first = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        if !is_first {
            let text = "A request with this Idempotency-Key is being worked on";
            return Err(Error::new(Kind::Conflict, text).retry_after(Duration::from_secs(1)));
        }
        Ok(Some(Turn { in_flight: Arc::clone(&self.in_flight), id: id.clone() }))
    }

    /// What a store is to keep of the answer that a request gets if its change is done, and that answer.
    ///
    /// # Errors
    /// 500 for an answer that is no text.
    pub async fn keep(
        &self,
        key: Option<RequestKey>,
        answer: Response,
    ) -> Result<(Option<StoredAnswer>, Response), Error> {
        let Some(key) = key else { return Ok((None, answer)) };
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(Error::internal)?.to_bytes();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(Error::internal);
        let headers = parts.headers.iter().map(|(name, value)| Ok((name.to_string(), text(value.as_bytes())?)));
        let recorded = Recorded {
            status: parts.status.as_u16(),
            headers: headers.collect::<Result<_, Error>>()?,
            body: text(&body)?,
        };
        let answer = serde_json::to_string(&recorded).map_err(Error::internal)?;
        let stored = StoredAnswer { key, answer, expires_at: self.expiry() };
        Ok((Some(stored), Response::from_parts(parts, Body::from(body))))
    }

    fn expiry(&self) -> Timestamp {
        let at = self.clock.now().checked_add(self.lifetime).unwrap_or(Timestamp::MAX);
        Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
    }
}

impl StoredAnswer {
    /// The answer once more, for a request that was sent again.
    ///
    /// # Errors
    /// 422 when the request has another body than the one that was answered.
    pub fn replay(self, again: &RequestKey) -> Result<Response, Error> {
        let recorded: Recorded = serde_json::from_str(&self.answer).map_err(Error::internal)?;
        let mut response = again.answer_as_before(&self.key.fingerprint, Response::new(Body::from(recorded.body)))?;
        *response.status_mut() = StatusCode::from_u16(recorded.status).map_err(Error::internal)?;
        for (name, value) in recorded.headers {
            let name = name.parse::<HeaderName>().map_err(Error::internal)?;
            response.headers_mut().append(name, value.parse::<HeaderValue>().map_err(Error::internal)?);
        }
        Ok(response)
    }
}

impl fmt::Debug for StoredAnswer {
    /// The answer may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredAnswer").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    async fn keyed(uri: &str, keys: &[&str], body: &str) -> Result<Option<RequestKey>, Error> {
        let mut request = Request::post(uri);
        for key in keys {
            request = request.header(HEADER, *key);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        Keyed::<Value>::from_request(request, &()).await.map(|keyed| keyed.key)
    }

    fn idempotency() -> Idempotency {
        Idempotency::new(Duration::from_secs(3600), ManualClock::new())
    }

    #[tokio::test]
    async fn a_key_names_a_request_of_one_route_and_one_body() {
        let first = keyed("/a", &["k1"], "{}").await.unwrap().unwrap();
        assert_eq!(keyed("/a?x=1", &["k1"], "{}").await.unwrap().unwrap(), first);
        assert_ne!(keyed("/a", &["k2"], "{}").await.unwrap().unwrap().id, first.id);
        assert_ne!(keyed("/b", &["k1"], "{}").await.unwrap().unwrap().id, first.id);
        let other = keyed("/a", &["k1"], r#"{"a":1}"#).await.unwrap().unwrap();
        assert!(other.id == first.id && other.fingerprint != first.fingerprint);
        let with_password = keyed("/a", &["k1"], r#"{"a":1, "password":"hunter2"}"#).await.unwrap().unwrap();
        assert_eq!(with_password, other);
        assert_eq!(keyed("/a", &[], "{}").await.unwrap(), None);
        assert_eq!((first.id.len(), first.fingerprint.len()), (43, 43));
    }

    #[tokio::test]
    async fn what_is_no_key_is_400() {
        let long = "k".repeat(256);
        for keys in [&[""][..], &["two words"], &["ü"], &[&long], &["k1", "k2"]] {
            assert_eq!(keyed("/a", keys, "{}").await.unwrap_err().kind(), Kind::BadRequest, "{keys:?}");
        }
        assert!(keyed("/a", &["k".repeat(255).as_str()], "{}").await.is_ok());
    }

    #[tokio::test]
    async fn of_two_at_once_one_is_refused_and_the_next_is_not() {
        let idempotency = idempotency();
        let key = keyed("/a", &["k1"], "{}").await.unwrap();
        let turn = idempotency.begin(key.as_ref()).unwrap();
        assert_eq!(idempotency.begin(key.as_ref()).unwrap_err().kind(), Kind::Conflict);
        assert!(idempotency.begin(None).unwrap().is_none());
        drop(turn);
        assert!(idempotency.begin(key.as_ref()).unwrap().is_some());
    }

    #[tokio::test]
    async fn an_answer_is_the_same_each_time() {
        let idempotency = idempotency();
        let key = keyed("/a", &["k1"], "{}").await.unwrap().unwrap();
        let answer = Response::builder().status(201).header("etag", "\"1\"").body(Body::from("{\"id\":1}")).unwrap();
        let (stored, answer) = idempotency.keep(Some(key.clone()), answer).await.unwrap();
        let stored = stored.unwrap();
        assert_eq!(stored.expires_at.duration_since(idempotency.clock.now()).as_secs(), 3600);
        let again = stored.clone().replay(&key).unwrap();
        assert_eq!((again.status(), &again.headers()["etag"]), (answer.status(), &answer.headers()["etag"]));
        assert_eq!(again.headers()[REPLAYED], "true");
        let text = |response: Response| async { response.into_body().collect().await.unwrap().to_bytes() };
        assert_eq!(text(again).await, text(answer).await);
        let other = keyed("/a", &["k1"], r#"{"b":2}"#).await.unwrap().unwrap();
        assert_eq!(stored.replay(&other).unwrap_err().kind(), Kind::Invalid);
    }
}
