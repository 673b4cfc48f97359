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
    /// Under which its keys are known.
    pub(super) own_name: &'static str,
    /// `SERVICE_NAME`, by which it may be called too.
    pub(super) given_name: Arc<str>,
    /// Whether requests in the first GCM form are taken, which anybody can send again.
    pub(super) takes_gcm: bool,
}

/// How an answer is to be encrypted: as its request asked, with the keys that counted then.
#[derive(Debug)]
pub(super) struct Reply {
    form: Form,
    ring: Arc<KeyRing>,
    /// Whose ring that is.
    owner: String,
    /// Of v2: the key that the caller named.
    key_id: Option<String>,
    /// What the caller calls this service.
    own_name: String,
    caller: String,
    method: Method,
    path: PathAndQuery,
}

impl Encryption {
    /// The plain body of a request, whose answer can be encrypted.
    pub(super) async fn open(&self, form: Form, request: Head<'_>, body: &Bytes) -> Result<Vec<u8>, Error> {
        let opened = self.try_open(form, request, body).await;
        opened.map_err(|undecryptable| {
            let caller = text(request.headers, &SERVICE_NAME).unwrap_or_default();
            let caller: String = caller.chars().take(MAX_NAME_CHARS).collect();
            let cause = undecryptable.cause();
            warn!(peer.service = caller, cause = %cause, "a request cannot be decrypted");
            undecryptable.into()
        })
    }

    async fn try_open(&self, form: Form, request: Head<'_>, body: &Bytes) -> Result<Vec<u8>, Undecryptable> {
        let keys = self.keys.as_deref().ok_or(Cause::UnknownKey)?;
        if form == Form::Gcm && !self.takes_gcm {
            return Err(Cause::NotTaken.into());
        }
        let ring = self.callers_ring(keys, form, request).ok_or(Cause::UnknownKey)?;
        ready_for(form, &ring).await.map_err(|_| Cause::Failed)?;
        let binding = Binding {
            direction: Direction::Request,
            method: request.method.as_str(),
            path: request.uri.path_and_query().map_or("/", PathAndQuery::as_str),
            sender: text(request.headers, &SERVICE_NAME).unwrap_or_default(),
            target: self.called(request),
        };
        let opening = Opening { form, ring: &ring, binding, now: keys.now(), taken: &keys.taken };
        opening.open(request.headers, body)
    }

    /// What the caller calls this service.
    fn called(&self, request: Head<'_>) -> &str {
        let target = text(request.headers, &TARGET_SERVICE);
        if target == Some(&*self.given_name) { &self.given_name } else { self.own_name }
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
    pub(super) fn reply_in(&self, form: Form, request: Head<'_>) -> Option<Reply> {
        let keys = self.keys.as_deref()?;
        let ring = match form {
            Form::Fernet => keys.shared_ring()?,
            Form::Gcm => keys.ring_of(self.own_name)?,
            Form::V2 => keys.ring_of(self.own_name).filter(|ring| ring.speaks_v2())?,
        };
        Some(self.reply(form, ring, self.own_name, request))
    }

    /// How a request is answered whose answer alone shall be encrypted: in v2 with the key that the caller names, if that
    /// is known here, else in the first GCM form.
    pub(super) fn reply_to(&self, request: Head<'_>) -> Option<Reply> {
        let keys = self.keys.as_deref()?;
        if let Some(key_id) = text(request.headers, &KEY_ID) {
            let caller = text(request.headers, &SERVICE_NAME).unwrap_or_default();
            let known = [caller, self.own_name].into_iter().find_map(|owner| {
                let ring = keys.ring_of(owner).filter(|ring| ring.has_key(key_id))?;
                Some((owner, ring))
            });
            if let Some((owner, ring)) = known {
                let key_id = Some(key_id.to_owned());
                return Some(Reply { key_id, ..self.reply(Form::V2, ring, owner, request) });
            }
        }
        self.reply_in(Form::Gcm, request)
    }

    fn reply(&self, form: Form, ring: Arc<KeyRing>, owner: &str, request: Head<'_>) -> Reply {
        let caller = text(request.headers, &SERVICE_NAME).unwrap_or_default().to_owned();
        let path = request.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let (owner, own_name) = (owner.to_owned(), self.called(request).to_owned());
        Reply { form, ring, owner, key_id: None, own_name, caller, method: request.method.clone(), path }
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
        let binding = Binding {
            direction: Direction::Response,
            method: reply.method.as_str(),
            path: reply.path.as_str(),
            sender: &reply.own_name,
            target: &reply.caller,
        };
        let (form, owner, now) = (reply.form, reply.owner.as_str(), keys.now());
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
