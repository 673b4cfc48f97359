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
use http::Method;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::edge::too_late;
use crate::envelope::{
    CallBinding, Cause, Direction, EncryptionHeaders, Form, HeaderText, KeyRing, NoForm, Opening, Sealing, ServiceKeys,
    Stamp, Undecryptable, has_no_body, ready_for,
};
use crate::error::{Error, Kind};
use crate::whole_body::read_body;

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

/// How an answer is to be encrypted: as its request asked, with the keys that counted then. It knows who calls whom, so
/// the request is decrypted by it too.
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
    /// Whose key the caller says that it has used; `None` when that is its own, or when it says nothing.
    owner: Option<HeaderText>,
    stamp: Option<Stamp>,
}

impl Reply {
    /// The call with this request line.
    fn call<'a>(&'a self, (method, path): (&'a Method, &'a str)) -> CallBinding<'a> {
        CallBinding { method, path, caller: &self.caller, callee: &self.own_name }
    }
}

impl Encryption {
    /// The plain body of a request that is answered so; of one whose answer nobody could encrypt there is none.
    pub(super) async fn open(
        &self,
        line: (&Method, &str),
        reply: Option<&Reply>,
        body: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let opened = match reply {
            Some(reply) => self.try_open(line, reply, body).await,
            None => Err(Cause::NoAnswer.into()),
        };
        opened.map_err(|undecryptable| {
            let caller: String = reply.map_or("", |reply| reply.caller.as_str()).chars().take(MAX_NAME_CHARS).collect();
            let cause = undecryptable.cause();
            warn!(peer.service = caller, cause = %cause, "a request cannot be decrypted");
            undecryptable.into()
        })
    }

    async fn try_open(&self, line: (&Method, &str), reply: &Reply, body: &[u8]) -> Result<Vec<u8>, Undecryptable> {
        let (form, keys) = (reply.form, self.keys.as_deref().ok_or(Cause::UnknownKey)?);
        if form == Form::Gcm && !self.takes_gcm {
            return Err(Cause::NotTaken.into());
        }
        let ring = self.callers_ring(keys, reply).ok_or(Cause::UnknownKey)?;
        ready_for(form, &ring).await.map_err(|_| Cause::Failed)?;
        let (call, direction, now) = (reply.call(line), Direction::Request, keys.now());
        let stamp = reply.stamp.as_ref();
        Opening { form, stamp, ring: &ring, call, direction, now, taken: &keys.taken }.open(body)
    }

    /// The keys of whoever says that it sends a request. In v2 nobody sends with the keys of somebody else.
    fn callers_ring(&self, keys: &ServiceKeys, reply: &Reply) -> Option<Arc<KeyRing>> {
        let (caller, owner) = (reply.caller.as_str(), reply.owner.as_ref().map(HeaderText::as_str));
        let is_sound = !caller.is_empty() && owner.is_none();
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
            Asked::Both(form) => self.reply_in(form, &headers),
            Asked::Answer => Some(self.reply_to(&headers).ok_or_else(no_key)?),
        };
        Ok((asked, reply))
    }

    /// How a request in this form is answered.
    fn reply_in(&self, form: Form, headers: &EncryptionHeaders<'_>) -> Option<Reply> {
        let keys = self.keys.as_deref()?;
        let own_name = self.own_name.as_str();
        let ring = match form {
            Form::Fernet => keys.shared_ring()?,
            Form::Gcm => keys.ring_of(own_name)?,
            Form::V2 => keys.ring_of(own_name).filter(|ring| ring.speaks_v2())?,
        };
        Some(self.reply(form, ring, headers))
    }

    /// How a request is answered whose answer alone shall be encrypted: in v2 with the key that the caller names, if that
    /// is known here, else in the first GCM form.
    fn reply_to(&self, headers: &EncryptionHeaders<'_>) -> Option<Reply> {
        let keys = self.keys.as_deref()?;
        if let Some(key_id) = headers.key_id.to_header_text() {
            let knows_key = |ring: &Arc<KeyRing>| ring.has_key(key_id.as_str());
            let callers = headers.service_name.text().and_then(|caller| keys.ring_of(caller)).filter(knows_key);
            let is_callers_key = callers.is_some();
            if let Some(ring) = callers.or_else(|| keys.ring_of(self.own_name.as_str()).filter(knows_key)) {
                let reply = self.reply(Form::V2, ring, headers);
                return Some(Reply { key_id: Some(key_id), is_callers_key, ..reply });
            }
        }
        self.reply_in(Form::Gcm, headers)
    }

    fn reply(&self, form: Form, ring: Arc<KeyRing>, headers: &EncryptionHeaders<'_>) -> Reply {
        let given_name = self.given_name.as_ref().filter(|given| headers.target_service.equals(given));
        let caller = headers.service_name.to_header_text().unwrap_or(HeaderText::EMPTY);
        let owner = headers.encryption_service;
        Reply {
            form,
            ring,
            key_id: None,
            is_callers_key: false,
            own_name: given_name.unwrap_or(&self.own_name).clone(),
            owner: if owner.equals(&caller) { None } else { owner.to_header_text() },
            caller,
            stamp: headers.stamp(),
        }
    }

    /// An answer in place of this one, which nobody but the caller can read.
    pub(super) async fn seal(
        &self,
        (method, path): (&Method, &str),
        reply: &Reply,
        response: Response,
        deadline: Instant,
    ) -> Result<Response, Error> {
        let (mut parts, body) = response.into_parts();
        // Of the plain body: it would tell how long that is. The server writes that of the body that is sent, if there is one.
        parts.headers.remove(CONTENT_LENGTH);
        if *method == Method::HEAD {
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        let Some(keys) = self.keys.as_deref().filter(|_| !has_no_body(parts.status)) else {
            return Ok(Response::from_parts(parts, body));
        };
        let plain = whole(body, deadline).await?;
        ready_for(reply.form, &reply.ring).await?;
        let owner = if reply.is_callers_key { &reply.caller } else { &self.own_name };
        let (form, key_id) = (reply.form, reply.key_id.as_ref().map(HeaderText::as_str));
        let (call, direction, now) = (reply.call((method, path)), Direction::Response, keys.now());
        let sealing = Sealing { form, ring: &reply.ring, owner, key_id, call, direction, now };
        let sealed = sealing.seal(&plain, &mut parts.headers)?;
        parts.headers.remove(CONTENT_ENCODING);
        Ok(Response::from_parts(parts, Body::from(sealed)))
    }
}

/// All of an answer. Nearly each is there at once, and takes no timer then.
async fn whole(body: Body, deadline: Instant) -> Result<Bytes, Error> {
    let mut reading = pin!(read_body(body, MAX_ANSWER_BYTES));
    let whole = match reading.as_mut().now_or_never() {
        Some(whole) => whole,
        None => Box::pin(timeout_at(deadline, reading)).await.map_err(|_elapsed| too_late())?,
    };
    whole.map_err(|unread| Error::internal(format!("the answer cannot be encrypted: {unread}")))
}

/// 400 where somebody asks for an answer that nobody else can read, and there is no key for that.
pub(super) fn no_key() -> Error {
    Error::new(Kind::BadRequest, "No key to encrypt the response with").caused_by(Cause::NoAnswer)
}
