//! Encrypted requests and answers, as the edge takes and gives them.
//!
//! A request is decrypted before anybody looks at what it says, and its answer has the same form, errors included. What
//! cannot be decrypted is answered in plain text, and always the same: who has no key could not read anything else, and
//! learns nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt as _, Limited};
use tracing::warn;

use crate::envelope::{
    Binding, Cause, Direction, ENCRYPTION_SERVICE, Form, KEY_ID, KeyRing, NoForm, Opening, SERVICE_NAME, Sealing,
    ServiceKeys, TARGET_SERVICE, Undecryptable, asks_for_encrypted_answer, has_no_body, ready_for, text,
};
use crate::error::{Error, Kind};

/// Bytes of the largest answer that is encrypted: it has to be whole for that.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Characters of a caller's name that the log shows.
const MAX_NAME_CHARS: usize = 64;

/// Stands with a request whose body was encrypted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decrypted;

/// What the headers of a request say of encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// The body is encrypted, and so shall the answer be.
    Both(Form),
    /// The answer alone shall be encrypted.
    Answer,
}

impl Asked {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        match Form::of(headers) {
            Ok(Some(form)) => Ok(Self::Both(form)),
            Ok(None) if asks_for_encrypted_answer(headers) => Ok(Self::Answer),
            Ok(None) => Ok(Self::Nothing),
            Err(NoForm::Several) => {
                Err(Error::new(Kind::BadRequest, "Two encryption headers at once").caused_by(Cause::Headers))
            }
            Err(NoForm::Unknown) => {
                let text = "Unknown encryption: expected X-Encrypted-Payload to be `v2`, `true` or `false`";
                Err(Error::new(Kind::BadRequest, text).caused_by(Cause::Headers))
            }
        }
    }
}

/// What one service decrypts and encrypts with.
#[derive(Debug)]
pub(super) struct Encryption {
    /// `None` where the process has no keys.
    pub(super) keys: Option<Arc<ServiceKeys>>,
    /// Under which its keys are known.
    pub(super) own_name: Arc<str>,
    /// `SERVICE_NAME`, by which it may be called too.
    pub(super) given_name: Arc<str>,
    /// Whether requests in the first GCM form are taken, which anybody can send again.
    pub(super) takes_gcm: bool,
}

/// How an answer is to be encrypted: as its request asked, with the keys that counted then. It knows the call, so the
/// request is decrypted by it too.
#[derive(Debug)]
pub(super) struct Reply {
    form: Form,
    ring: Arc<KeyRing>,
    /// Of v2: the key of the caller, or of the service, that the caller named.
    key_id: Option<String>,
    is_callers_key: bool,
    /// What the caller calls this service.
    own_name: Arc<str>,
    caller: String,
    method: Method,
    path: PathAndQuery,
}

impl Reply {
    fn binding(&self, direction: Direction) -> Binding<'_> {
        let (caller, own) = (self.caller.as_str(), &*self.own_name);
        let (sender, target) = match direction {
            Direction::Request => (caller, own),
            Direction::Response => (own, caller),
        };
        Binding { direction, method: self.method.as_str(), path: self.path.as_str(), sender, target }
    }
}

impl Encryption {
    /// The plain body of a request that is answered so; of one whose answer nobody could encrypt there is none.
    pub(super) async fn open(
        &self,
        reply: Option<&Reply>,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Vec<u8>, Error> {
        let opened = match reply {
            Some(reply) => self.try_open(reply, headers, body).await,
            None => Err(Cause::NoAnswer.into()),
        };
        opened.map_err(|undecryptable| {
            let caller: String = reply.map_or("", |reply| &reply.caller).chars().take(MAX_NAME_CHARS).collect();
            let cause = undecryptable.cause();
            warn!(peer.service = caller, cause = %cause, "a request cannot be decrypted");
            undecryptable.into()
        })
    }

    async fn try_open(&self, reply: &Reply, headers: &HeaderMap, body: &Bytes) -> Result<Vec<u8>, Undecryptable> {
        let (form, keys) = (reply.form, self.keys.as_deref().ok_or(Cause::UnknownKey)?);
        if form == Form::Gcm && !self.takes_gcm {
            return Err(Cause::NotTaken.into());
        }
        let ring = self.callers_ring(keys, reply, headers).ok_or(Cause::UnknownKey)?;
        ready_for(form, &ring).await.map_err(|_| Cause::Failed)?;
        let (binding, now) = (reply.binding(Direction::Request), keys.now());
        Opening { form, ring: &ring, binding, now, taken: &keys.taken }.open(headers, body)
    }

    /// The keys of whoever says that it sends a request. In v2 nobody sends with the keys of somebody else.
    fn callers_ring(&self, keys: &ServiceKeys, reply: &Reply, headers: &HeaderMap) -> Option<Arc<KeyRing>> {
        let (caller, owner) = (reply.caller.as_str(), text(headers, &ENCRYPTION_SERVICE));
        let is_sound = !caller.is_empty() && owner.is_none_or(|owner| owner == caller);
        let owner = match reply.form {
            Form::Fernet => return keys.shared_ring(),
            Form::Gcm => owner.unwrap_or(caller),
            Form::V2 => Some(caller).filter(|_| is_sound)?,
        };
        // Nobody calls itself: that is an answer which somebody sends back.
        if *owner == *self.own_name { None } else { keys.ring_of(owner) }
    }

    /// How a request in this form is answered; `None` where there is no key for that.
    pub(super) fn reply_in(&self, form: Form, request: &Request) -> Option<Reply> {
        let keys = self.keys.as_deref()?;
        let ring = match form {
            Form::Fernet => keys.shared_ring()?,
            Form::Gcm => keys.ring_of(&self.own_name)?,
            Form::V2 => keys.ring_of(&self.own_name).filter(|ring| ring.speaks_v2())?,
        };
        Some(self.reply(form, ring, request))
    }

    /// How a request is answered whose answer alone shall be encrypted: in v2 with the key that the caller names, if that
    /// is known here, else in the first GCM form.
    pub(super) fn reply_to(&self, request: &Request) -> Option<Reply> {
        let keys = self.keys.as_deref()?;
        if let Some(key_id) = text(request.headers(), &KEY_ID) {
            let knows_key = |ring: &Arc<KeyRing>| ring.has_key(key_id);
            let caller = text(request.headers(), &SERVICE_NAME);
            let callers = caller.and_then(|caller| keys.ring_of(caller)).filter(knows_key);
            let is_callers_key = callers.is_some();
            if let Some(ring) = callers.or_else(|| keys.ring_of(&self.own_name).filter(knows_key)) {
                let key_id = Some(key_id.to_owned());
                return Some(Reply { key_id, is_callers_key, ..self.reply(Form::V2, ring, request) });
            }
        }
        self.reply_in(Form::Gcm, request)
    }

    fn reply(&self, form: Form, ring: Arc<KeyRing>, request: &Request) -> Reply {
        let headers = request.headers();
        let is_given_name = text(headers, &TARGET_SERVICE) == Some(&*self.given_name);
        Reply {
            form,
            ring,
            key_id: None,
            is_callers_key: false,
            own_name: Arc::clone(if is_given_name { &self.given_name } else { &self.own_name }),
            caller: text(headers, &SERVICE_NAME).unwrap_or_default().to_owned(),
            method: request.method().clone(),
            path: request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
        }
    }

    /// An answer in place of this one, which nobody but the caller can read.
    pub(super) async fn seal(&self, reply: Reply, response: Response) -> Result<Response, Error> {
        let (mut parts, body) = response.into_parts();
        if reply.method == Method::HEAD {
            // It would tell how long the plain one is.
            parts.headers.remove(CONTENT_LENGTH);
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        let Some(keys) = self.keys.as_deref().filter(|_| !has_no_body(parts.status)) else {
            return Ok(Response::from_parts(parts, body));
        };
        let whole = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let plain = whole.map_err(|error| Error::internal(format!("the answer cannot be encrypted: {error}")))?;
        let plain = plain.to_bytes();
        ready_for(reply.form, &reply.ring).await?;
        let owner = if reply.is_callers_key { &reply.caller } else { &*self.own_name };
        let (form, binding, now) = (reply.form, reply.binding(Direction::Response), keys.now());
        let sealing = Sealing { form, ring: &reply.ring, owner, key_id: reply.key_id.as_deref(), binding, now };
        let sealed = sealing.seal(&plain, &mut parts.headers)?;
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(sealed.len()));
        parts.headers.remove(CONTENT_ENCODING);
        Ok(Response::from_parts(parts, Body::from(sealed)))
    }
}

/// 400 where somebody asks for an answer that nobody else can read, and there is no key for that.
pub(super) fn no_key() -> Error {
    Error::new(Kind::BadRequest, "No key to encrypt the response with").caused_by(Cause::NoAnswer)
}
