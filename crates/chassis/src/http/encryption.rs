//! Encrypted requests and answers, as the edge takes and gives them.
//!
//! A request is decrypted before anybody looks at what it says, and its answer has the same form, errors included. What
//! cannot be decrypted is answered in plain text, and always the same: who has no key could not read anything else, and
//! learns nothing.

use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::edge::too_late;
use crate::envelope::{
    Binding, Cause, Direction, EncryptionHeaders, Form, HeaderText, KeyRing, NoForm, Opening, Sealing, ServiceKeys,
    Stamp, Undecryptable, has_no_body, ready_for,
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
    fn of(headers: &EncryptionHeaders<'_>) -> Result<Self, Error> {
        let asked = match headers.form() {
            Ok(Some(form)) => Ok(Self::Both(form)),
            Ok(None) => headers.asks_for_encrypted_answer().map(|asks| if asks { Self::Answer } else { Self::Nothing }),
            Err(no_form) => Err(no_form),
        };
        asked.map_err(|no_form| {
            let text = match no_form {
                NoForm::Several => "Two encryption headers at once",
                NoForm::Unknown => "Unknown encryption: expected X-Encrypted-Payload to be `v2`, `true` or `false`",
            };
            Error::new(Kind::BadRequest, text).caused_by(Cause::Headers)
        })
    }
}

/// What one service decrypts and encrypts with.
#[derive(Debug)]
pub(super) struct Encryption {
    /// `None` where the process has no keys.
    pub(super) keys: Option<Arc<ServiceKeys>>,
    /// Under which its keys are known.
    pub(super) own_name: HeaderText,
    /// `SERVICE_NAME`, by which it may be called too, if a header can.
    pub(super) given_name: Option<HeaderText>,
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
    key_id: Option<HeaderText>,
    is_callers_key: bool,
    /// What the caller calls this service.
    own_name: HeaderText,
    caller: HeaderText,
    /// Whose key it says that it has used.
    owner: Option<HeaderText>,
    stamp: Option<Stamp>,
    method: Method,
    path: PathAndQuery,
}

impl Reply {
    fn binding(&self, direction: Direction) -> Binding<'_> {
        let (caller, own) = (self.caller.as_str(), self.own_name.as_str());
        let (sender, target) = match direction {
            Direction::Request => (caller, own),
            Direction::Response => (own, caller),
        };
        Binding { direction, method: self.method.as_str(), path: self.path.as_str(), sender, target }
    }
}

impl Encryption {
    /// The plain body of a request that is answered so; of one whose answer nobody could encrypt there is none.
    pub(super) async fn open(&self, reply: Option<&Reply>, body: &Bytes) -> Result<Vec<u8>, Error> {
        let opened = match reply {
            Some(reply) => self.try_open(reply, body).await,
            None => Err(Cause::NoAnswer.into()),
        };
        opened.map_err(|undecryptable| {
            let caller: String = reply.map_or("", |reply| reply.caller.as_str()).chars().take(MAX_NAME_CHARS).collect();
            let cause = undecryptable.cause();
            warn!(peer.service = caller, cause = %cause, "a request cannot be decrypted");
            undecryptable.into()
        })
    }

    async fn try_open(&self, reply: &Reply, body: &Bytes) -> Result<Vec<u8>, Undecryptable> {
        let (form, keys) = (reply.form, self.keys.as_deref().ok_or(Cause::UnknownKey)?);
        if form == Form::Gcm && !self.takes_gcm {
            return Err(Cause::NotTaken.into());
        }
        let ring = self.callers_ring(keys, reply).ok_or(Cause::UnknownKey)?;
        ready_for(form, &ring).await.map_err(|_| Cause::Failed)?;
        let (binding, now) = (reply.binding(Direction::Request), keys.now());
        Opening { form, stamp: reply.stamp.as_ref(), ring: &ring, binding, now, taken: &keys.taken }.open(body)
    }

    /// The keys of whoever says that it sends a request. In v2 nobody sends with the keys of somebody else.
    fn callers_ring(&self, keys: &ServiceKeys, reply: &Reply) -> Option<Arc<KeyRing>> {
        let (caller, owner) = (reply.caller.as_str(), reply.owner.as_ref().map(HeaderText::as_str));
        let is_sound = !caller.is_empty() && owner.is_none_or(|owner| owner == caller);
        let owner = match reply.form {
            Form::Fernet => return keys.shared_ring(),
            Form::Gcm => owner.unwrap_or(caller),
            Form::V2 => Some(caller).filter(|_| is_sound)?,
        };
        // Nobody calls itself: that is an answer which somebody sends back.
        if owner == self.own_name.as_str() { None } else { keys.ring_of(owner) }
    }

    /// What a request asks for, and how it is answered; no [`Reply`] where there is no key for one.
    pub(super) fn read(&self, request: &Request) -> Result<(Asked, Option<Reply>), Error> {
        let headers = EncryptionHeaders::of(request.headers());
        let asked = Asked::of(&headers)?;
        let reply = match asked {
            Asked::Nothing => None,
            Asked::Both(form) => self.reply_in(form, &headers, request),
            Asked::Answer => Some(self.reply_to(&headers, request).ok_or_else(no_key)?),
        };
        Ok((asked, reply))
    }

    /// How a request in this form is answered.
    fn reply_in(&self, form: Form, headers: &EncryptionHeaders<'_>, request: &Request) -> Option<Reply> {
        let keys = self.keys.as_deref()?;
        let own_name = self.own_name.as_str();
        let ring = match form {
            Form::Fernet => keys.shared_ring()?,
            Form::Gcm => keys.ring_of(own_name)?,
            Form::V2 => keys.ring_of(own_name).filter(|ring| ring.speaks_v2())?,
        };
        Some(self.reply(form, ring, headers, request))
    }

    /// How a request is answered whose answer alone shall be encrypted: in v2 with the key that the caller names, if that
    /// is known here, else in the first GCM form.
    fn reply_to(&self, headers: &EncryptionHeaders<'_>, request: &Request) -> Option<Reply> {
        let keys = self.keys.as_deref()?;
        if let Some(key_id) = headers.key_id.to_header_text() {
            let knows_key = |ring: &Arc<KeyRing>| ring.has_key(key_id.as_str());
            let callers = headers.service_name.text().and_then(|caller| keys.ring_of(caller)).filter(knows_key);
            let is_callers_key = callers.is_some();
            if let Some(ring) = callers.or_else(|| keys.ring_of(self.own_name.as_str()).filter(knows_key)) {
                let reply = self.reply(Form::V2, ring, headers, request);
                return Some(Reply { key_id: Some(key_id), is_callers_key, ..reply });
            }
        }
        self.reply_in(Form::Gcm, headers, request)
    }

    fn reply(&self, form: Form, ring: Arc<KeyRing>, headers: &EncryptionHeaders<'_>, request: &Request) -> Reply {
        let called = headers.target_service.text();
        let given_name = self.given_name.as_ref().filter(|given| called == Some(given.as_str()));
        Reply {
            form,
            ring,
            key_id: None,
            is_callers_key: false,
            own_name: given_name.unwrap_or(&self.own_name).clone(),
            caller: headers.service_name.to_header_text().unwrap_or(HeaderText::EMPTY),
            owner: headers.encryption_service.to_header_text(),
            stamp: headers.stamp(),
            method: request.method().clone(),
            path: request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
        }
    }

    /// An answer in place of this one, which nobody but the caller can read.
    pub(super) async fn seal(&self, reply: Reply, response: Response, deadline: Instant) -> Result<Response, Error> {
        let (mut parts, body) = response.into_parts();
        if reply.method == Method::HEAD {
            // It would tell how long the plain one is.
            parts.headers.remove(CONTENT_LENGTH);
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        let Some(keys) = self.keys.as_deref().filter(|_| !has_no_body(parts.status)) else {
            return Ok(Response::from_parts(parts, body));
        };
        let plain = whole(body, deadline).await?;
        ready_for(reply.form, &reply.ring).await?;
        let owner = if reply.is_callers_key { &reply.caller } else { &self.own_name };
        let (sender, target, key_id) = (&reply.own_name, &reply.caller, reply.key_id.as_ref().map(HeaderText::as_str));
        let (form, binding, now) = (reply.form, reply.binding(Direction::Response), keys.now());
        let sealing = Sealing { form, ring: &reply.ring, owner, sender, target, key_id, binding, now };
        let sealed = sealing.seal(&plain, &mut parts.headers)?;
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(sealed.len()));
        parts.headers.remove(CONTENT_ENCODING);
        Ok(Response::from_parts(parts, Body::from(sealed)))
    }
}

/// All of an answer. Nearly each is there at once, and takes no timer then.
async fn whole(body: Body, deadline: Instant) -> Result<Bytes, Error> {
    let mut collecting = pin!(Limited::new(body, MAX_ANSWER_BYTES).collect());
    let collected = match collecting.as_mut().now_or_never() {
        Some(collected) => collected,
        None => Box::pin(timeout_at(deadline, collecting)).await.map_err(|_elapsed| too_late())?,
    };
    let collected = collected.map_err(|error| Error::internal(format!("the answer cannot be encrypted: {error}")))?;
    Ok(collected.to_bytes())
}

/// 400 where somebody asks for an answer that nobody else can read, and there is no key for that.
pub(super) fn no_key() -> Error {
    Error::new(Kind::BadRequest, "No key to encrypt the response with").caused_by(Cause::NoAnswer)
}
