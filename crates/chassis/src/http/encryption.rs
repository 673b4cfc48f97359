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
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body_util::{BodyExt as _, Limited};
use tracing::warn;

use crate::envelope::{
    Binding, Cause, Direction, ENCRYPTION_SERVICE, Form, KEY_ID, KeyRing, NoForm, Opening, SERVICE_NAME, Sealing,
    ServiceKeys, Undecryptable, asks_for_encrypted_answer, ready_for, text,
};
use crate::error::{Error, Kind};

/// Bytes of the largest answer that is encrypted: it has to be whole for that.
const MAX_ANSWER_BYTES: usize = 64 << 20;

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
            Err(NoForm::Several) => Err(Error::new(Kind::BadRequest, "Two encryption headers at once")),
            Err(NoForm::Unknown) => Err(Error::new(
                Kind::BadRequest,
                "Unknown encryption: expected X-Encrypted-Payload to be `v2`, `true` or `false`",
            )),
        }
    }
}

/// What of a request says how it is encrypted, and what its body is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        Self { method: request.method(), uri: request.uri(), headers: request.headers() }
    }
}

/// What one service decrypts and encrypts with.
#[derive(Debug)]
pub(super) struct Encryption {
    /// `None` where the process has no keys.
    pub(super) keys: Option<Arc<ServiceKeys>>,
    pub(super) own_name: &'static str,
    /// Whether requests in the first GCM form are taken, which anybody can send again.
    pub(super) takes_gcm: bool,
}

/// How an answer is to be encrypted: as its request asked, with the keys that counted then.
#[derive(Debug)]
pub(super) struct Reply {
    form: Form,
    ring: Arc<KeyRing>,
    /// Of v2: the key that the caller named.
    key_id: Option<String>,
    caller: String,
    method: Method,
    path: PathAndQuery,
}

impl Encryption {
    /// The plain body of a request, and how it is to be answered.
    pub(super) async fn open(&self, form: Form, request: Head<'_>, body: &Bytes) -> Result<(Vec<u8>, Reply), Error> {
        let opened = self.try_open(form, request, body).await;
        opened.map_err(|undecryptable| {
            let caller = text(request.headers, &SERVICE_NAME).unwrap_or_default();
            let cause = undecryptable.cause();
            warn!(peer.service = caller, cause = %cause, "a request cannot be decrypted");
            undecryptable.into()
        })
    }

    async fn try_open(&self, form: Form, request: Head<'_>, body: &Bytes) -> Result<(Vec<u8>, Reply), Undecryptable> {
        let keys = self.keys.as_deref().ok_or(Cause::UnknownKey)?;
        if form == Form::Gcm && !self.takes_gcm {
            return Err(Cause::NotTaken.into());
        }
        let caller = text(request.headers, &SERVICE_NAME);
        let ring = self.callers_ring(keys, form, request).ok_or(Cause::UnknownKey)?;
        let reply = self.reply(keys, form, request).ok_or(Cause::NoAnswer)?;
        ready_for(form, &ring).await.map_err(|_| Cause::Failed)?;
        let binding = Binding {
            direction: Direction::Request,
            method: request.method.as_str(),
            path: reply.path.as_str(),
            sender: caller.unwrap_or_default(),
            target: self.own_name,
        };
        let opening = Opening { form, ring: &ring, binding, now: keys.now(), taken: &keys.taken };
        Ok((opening.open(request.headers, body)?, reply))
    }

    /// The keys of whoever says that it sends a request. In v2 nobody sends with the keys of somebody else.
    fn callers_ring(&self, keys: &ServiceKeys, form: Form, request: Head<'_>) -> Option<Arc<KeyRing>> {
        let caller = text(request.headers, &SERVICE_NAME);
        let owner = text(request.headers, &ENCRYPTION_SERVICE);
        let owner = match form {
            Form::Fernet => return keys.shared_ring(),
            Form::Gcm => owner.or(caller).unwrap_or_default(),
            Form::V2 => caller.filter(|caller| owner.is_none_or(|owner| owner == *caller))?,
        };
        // Nobody calls itself: that is an answer which somebody sends back.
        if owner == self.own_name { None } else { keys.ring_of(owner) }
    }

    /// How a request in this form is answered; `None` where there is no key for that.
    fn reply(&self, keys: &ServiceKeys, form: Form, request: Head<'_>) -> Option<Reply> {
        let ring = match form {
            Form::Fernet => keys.shared_ring()?,
            Form::Gcm => keys.ring_of(self.own_name)?,
            Form::V2 => keys.ring_of(self.own_name).filter(|ring| ring.speaks_v2())?,
        };
        Some(self.reply_with(form, ring, None, request))
    }

    fn reply_with(&self, form: Form, ring: Arc<KeyRing>, key_id: Option<String>, request: Head<'_>) -> Reply {
        let caller = text(request.headers, &SERVICE_NAME).unwrap_or_default().to_owned();
        let path = request.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Reply { form, ring, key_id, caller, method: request.method.clone(), path }
    }

    /// How a request is answered whose answer alone shall be encrypted, or whose body is empty: in the form that it names,
    /// else in v2 with the key that the caller names, if that is known here, else in the first GCM form.
    pub(super) fn reply_to(&self, form: Option<Form>, request: Head<'_>) -> Result<Reply, Error> {
        let none = || Error::new(Kind::BadRequest, "No key to encrypt the response with").caused_by(Cause::NoAnswer);
        let keys = self.keys.as_deref().ok_or_else(none)?;
        if let Some(form @ (Form::Fernet | Form::Gcm)) = form {
            return self.reply(keys, form, request).ok_or_else(none);
        }
        let own = keys.ring_of(self.own_name);
        if let Some(key_id) = text(request.headers, &KEY_ID) {
            let callers = text(request.headers, &SERVICE_NAME).and_then(|caller| keys.ring_of(caller));
            if let Some(ring) = [own.clone(), callers].into_iter().flatten().find(|ring| ring.has_key(key_id)) {
                return Ok(self.reply_with(Form::V2, ring, Some(key_id.to_owned()), request));
            }
        }
        match (form, own) {
            (None, Some(own)) => Ok(self.reply_with(Form::Gcm, own, None, request)),
            _ => Err(none()),
        }
    }

    /// An answer in place of this one, which nobody but the caller can read.
    pub(super) async fn seal(&self, reply: Reply, response: Response) -> Result<Response, Error> {
        let (mut parts, body) = response.into_parts();
        let whole = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let plain = whole.map_err(|error| Error::internal(format!("the answer cannot be encrypted: {error}")))?;
        let plain = plain.to_bytes();
        let Some(keys) = self.keys.as_deref().filter(|_| !plain.is_empty()) else {
            return Ok(Response::from_parts(parts, Body::from(plain)));
        };
        ready_for(reply.form, &reply.ring).await?;
        let binding = Binding {
            direction: Direction::Response,
            method: reply.method.as_str(),
            path: reply.path.as_str(),
            sender: self.own_name,
            target: &reply.caller,
        };
        let key_id = reply.key_id.as_deref();
        let sealing = Sealing { form: reply.form, ring: &reply.ring, key_id, binding, now: keys.now() };
        let sealed = sealing.seal(&plain, &mut parts.headers)?;
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(sealed.len()));
        parts.headers.remove(CONTENT_ENCODING);
        Ok(Response::from_parts(parts, Body::from(sealed)))
    }
}
