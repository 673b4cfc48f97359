//! Calls whose bodies are encrypted: what is sent in their place, and what of an answer is believed.
//!
//! Each attempt is encrypted anew, since whoever takes a body takes it once.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Bytes;
use http::header::CONTENT_LENGTH;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::CallFailure;
use super::exchange::{Reply, ReplyBody};
use crate::config::PeerEncryption;
use crate::envelope::{
    Binding, Direction, ENCRYPT_RESPONSE, Form, KEY_ID, KeyRing, Opening, SERVICE_NAME, Sealing, ServiceKeys,
    TARGET_SERVICE, ready_for,
};

/// With what the calls of one service are encrypted, and which.
#[derive(Debug)]
pub(crate) struct CallEncryption {
    own_name: &'static str,
    keys: Arc<ServiceKeys>,
    /// What services want that say so themselves.
    said: RwLock<BTreeMap<String, PeerEncryption>>,
}

/// How one call is encrypted.
#[derive(Debug, Clone)]
pub(super) struct CallForm {
    form: Form,
    encryption: Arc<CallEncryption>,
    callee: Arc<str>,
}

/// One attempt of such a call: the rings that count for it.
#[derive(Debug)]
pub(super) struct Sealed<'a> {
    call: &'a CallForm,
    method: &'a Method,
    path: PathAndQuery,
    callees_ring: Arc<KeyRing>,
}

/// What an encrypted body may have beside the plain one: base64 twice, and what stands around it.
pub(super) fn longest_encrypted(plain_bytes: usize) -> usize {
    plain_bytes.saturating_mul(2).saturating_add(1024)
}

impl CallEncryption {
    pub(crate) fn new(own_name: &'static str, keys: Arc<ServiceKeys>) -> Arc<Self> {
        Arc::new(Self { own_name, keys, said: RwLock::default() })
    }

    /// Lets calls of this service be encrypted as it wants.
    pub(super) fn say(&self, callee: &str, encryption: PeerEncryption) {
        self.said.write().unwrap_or_else(PoisonError::into_inner).insert(callee.to_owned(), encryption);
    }

    /// How calls of this service are encrypted; `None` for those that are not.
    pub(super) fn form_of(self: &Arc<Self>, callee: &Arc<str>) -> Option<CallForm> {
        let said = self.said.read().unwrap_or_else(PoisonError::into_inner).get(&**callee).copied();
        let form = match said {
            Some(said) => said.form()?,
            None => self.knows_keys_with(callee).then_some(Form::V2)?,
        };
        Some(CallForm { form, encryption: Arc::clone(self), callee: Arc::clone(callee) })
    }

    /// Whether it is a service of the system, and both sides' keys are here. Where they have to be, the start says so.
    fn knows_keys_with(&self, callee: &str) -> bool {
        let has_ring = |owner: &str| self.keys.ring_of(owner).is_some_and(|ring| ring.speaks_v2());
        self.keys.encrypts_calls_of(callee) && has_ring(self.own_name) && has_ring(callee)
    }
}

impl CallForm {
    /// Encrypts what is sent to this path, and writes the headers that say so.
    pub(super) async fn seal<'a>(
        &'a self,
        (method, path): (&'a Method, PathAndQuery),
        headers: &mut HeaderMap,
        body: &Bytes,
    ) -> Result<(Bytes, Sealed<'a>), CallFailure> {
        let (keys, own_name) = (&self.encryption.keys, self.encryption.own_name);
        let of = |owner: &str| if self.form == Form::Fernet { keys.shared_ring() } else { keys.ring_of(owner) };
        let rings = of(own_name).zip(of(&self.callee));
        let (own, callees_ring) = rings.ok_or_else(|| unsendable("there is no key here for this service"))?;
        let sealed = Sealed { call: self, method, path, callees_ring };
        if body.is_empty() {
            self.ask_for_encrypted_answer(&sealed.callees_ring, headers)?;
            return Ok((Bytes::new(), sealed));
        }
        ready_for(self.form, &own).await.map_err(unsendable)?;
        let binding = sealed.binding(Direction::Request);
        let sealing = Sealing { form: self.form, ring: &own, key_id: None, binding, now: keys.now() };
        let encrypted = sealing.seal(body, headers).map_err(unsendable)?;
        Ok((encrypted, sealed))
    }

    /// There is nothing to encrypt, but something to come. The key is one of the service's own.
    fn ask_for_encrypted_answer(&self, callees: &KeyRing, headers: &mut HeaderMap) -> Result<(), CallFailure> {
        let text = |text: &str| HeaderValue::from_str(text).map_err(unsendable);
        headers.insert(ENCRYPT_RESPONSE, HeaderValue::from_static("true"));
        headers.insert(SERVICE_NAME, text(self.encryption.own_name)?);
        headers.insert(TARGET_SERVICE, text(&self.callee)?);
        if self.form == Form::V2 {
            headers.insert(KEY_ID, text(callees.key_id())?);
        }
        Ok(())
    }
}

impl Sealed<'_> {
    fn binding(&self, direction: Direction) -> Binding<'_> {
        let (own, callee) = (self.call.encryption.own_name, &*self.call.callee);
        let (sender, target) = match direction {
            Direction::Request => (own, callee),
            Direction::Response => (callee, own),
        };
        Binding { direction, method: self.method.as_str(), path: self.path.as_str(), sender, target }
    }

    /// The answer in plain text, if it was encrypted by the service. One that is not encrypted counts for nothing but to
    /// say that the service did not even look at the call: else anybody on the way could answer in its place.
    pub(super) async fn open(&self, reply: Reply) -> Result<Reply, CallFailure> {
        let Reply { status, mut headers, body } = reply;
        let body = match body {
            ReplyBody::Whole(body) => body,
            body @ ReplyBody::Coming(_) => return Ok(Reply { status, headers, body }),
        };
        let form = match Form::of(&headers) {
            Ok(Some(form)) => form,
            Ok(None) if may_be_plain(status) || (body.is_empty() && has_no_body(status)) => {
                return Ok(Reply { status, headers, body: ReplyBody::Whole(body) });
            }
            Ok(None) => return Err(CallFailure::Unavailable(format!("its answer, {status}, is not encrypted"))),
            Err(_) => return Err(CallFailure::Malformed("how its answer is encrypted is not clear".into())),
        };
        let keys = &self.call.encryption.keys;
        let shared = if form == Form::Fernet { keys.shared_ring() } else { None };
        let ring = shared.as_ref().unwrap_or(&self.callees_ring);
        let failed = |cause: &dyn std::error::Error| {
            CallFailure::Malformed(format!("its answer, {status}, cannot be decrypted: {cause}"))
        };
        ready_for(form, ring).await.map_err(|error| failed(&error))?;
        let binding = self.binding(Direction::Response);
        let opening = Opening { form, ring, binding, now: keys.now(), taken: &keys.taken };
        let plain = opening.open(&headers, &body).map_err(|undecryptable| failed(&undecryptable.cause()))?;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(plain.len()));
        Ok(Reply { status, headers, body: ReplyBody::Whole(plain.into()) })
    }
}

/// Whether the edge of a service, or something in front of it, answers this before anything is decrypted. Not 400: that
/// its keys are others than ours says nothing about what was sent.
fn may_be_plain(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::URI_TOO_LONG
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    ) || status.is_server_error()
}

fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn unsendable(cause: impl ToString) -> CallFailure {
    CallFailure::Unsendable(format!("it cannot be encrypted: {}", cause.to_string()))
}
