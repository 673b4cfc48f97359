//! Calls whose bodies are encrypted: what is sent in their place, and what of an answer is believed.
//!
//! Each attempt is encrypted anew, since whoever takes a body takes it once.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::CallFailure;
use super::exchange::{Reply, ReplyBody};
use crate::config::PeerEncryption;
use crate::envelope::{
    CallBinding, Direction, ENCRYPT_RESPONSE, EncryptionHeaders, Form, HeaderText, KEY_ID, KeyRing, Opening,
    SERVICE_NAME, Sealing, ServiceKeys, TARGET_SERVICE, has_no_body, ready_for,
};

/// With what the calls of one service are encrypted, and which.
#[derive(Debug)]
pub(crate) struct CallEncryption {
    own_name: HeaderText,
    /// `None` where the process has none.
    keys: Option<Arc<ServiceKeys>>,
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
    form: Form,
    keys: &'a ServiceKeys,
    method: &'a Method,
    path: &'a str,
    caller: HeaderText,
    callee: HeaderText,
    /// Ours, and that of the service that is called.
    rings: [Arc<KeyRing>; 2],
}

/// What an encrypted body may have beside the plain one: base64 twice, and what stands around it.
pub(super) fn longest_encrypted(plain_bytes: usize) -> usize {
    plain_bytes.saturating_mul(2).saturating_add(1024)
}

impl CallEncryption {
    pub(crate) fn new(own_name: &'static str, keys: Option<Arc<ServiceKeys>>) -> Arc<Self> {
        Arc::new(Self { own_name: HeaderText::from_static(own_name), keys, said: RwLock::default() })
    }

    /// Lets calls of this service be encrypted as it wants; `None`: as the system does.
    pub(super) fn say(&self, callee: &str, wanted: Option<PeerEncryption>) {
        let mut said = self.said.write().unwrap_or_else(PoisonError::into_inner);
        match wanted {
            Some(wanted) => said.insert(callee.to_owned(), wanted),
            None => said.remove(callee),
        };
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
        let Some(keys) = self.keys.as_deref().filter(|keys| keys.encrypts_calls_of(callee)) else { return false };
        [self.own_name.as_str(), callee].iter().all(|owner| keys.ring_of(owner).is_some_and(|ring| ring.speaks_v2()))
    }
}

impl CallForm {
    /// Encrypts what is sent to this path, and writes the headers that say so.
    pub(super) async fn seal<'a>(
        &'a self,
        (method, path): (&'a Method, &'a PathAndQuery),
        headers: &mut HeaderMap,
        body: &Bytes,
    ) -> Result<(Bytes, Sealed<'a>), CallFailure> {
        let no_keys = || {
            CallFailure::Unavailable(
                "its calls are to be encrypted, and there is no key for that: set ENCRYPTION_KEY".into(),
            )
        };
        let caller = self.encryption.own_name.clone();
        let keys = self.encryption.keys.as_deref().ok_or_else(no_keys)?;
        let of = |owner: &str| if self.form == Form::Fernet { keys.shared_ring() } else { keys.ring_of(owner) };
        let (own, callees) = of(caller.as_str()).zip(of(&self.callee)).ok_or_else(no_keys)?;
        let callee = HeaderText::new(&self.callee).ok_or_else(|| unsendable("its name fits into no header"))?;
        let (path, rings) = (path.as_str(), [Arc::clone(&own), callees]);
        let sealed = Sealed { form: self.form, keys, method, path, caller, callee, rings };
        if body.is_empty() {
            sealed.ask_for_encrypted_answer(headers)?;
            return Ok((Bytes::new(), sealed));
        }
        ready_for(self.form, &own).await.map_err(unsendable)?;
        let (call, direction, now) = (sealed.call(), Direction::Request, keys.now());
        let sealing = Sealing { form: self.form, ring: &own, owner: call.caller, key_id: None, call, direction, now };
        let encrypted = sealing.seal(body, headers).map_err(unsendable)?;
        Ok((encrypted, sealed))
    }
}

impl Sealed<'_> {
    /// There is nothing to encrypt, but something to come. The key is one of the service's own.
    fn ask_for_encrypted_answer(&self, headers: &mut HeaderMap) -> Result<(), CallFailure> {
        let [_, callees] = &self.rings;
        match self.form {
            Form::Fernet => {
                let (name, value) = Form::Fernet.header();
                headers.insert(name, value);
            }
            Form::Gcm => {
                headers.insert(ENCRYPT_RESPONSE, HeaderValue::from_static("true"));
            }
            Form::V2 => {
                headers.insert(ENCRYPT_RESPONSE, HeaderValue::from_static("true"));
                headers.insert(KEY_ID, HeaderValue::from_str(callees.key_id()).map_err(unsendable)?);
            }
        }
        headers.insert(SERVICE_NAME, self.caller.to_value());
        headers.insert(TARGET_SERVICE, self.callee.to_value());
        Ok(())
    }

    fn call(&self) -> CallBinding<'_> {
        CallBinding { method: self.method, path: self.path, caller: &self.caller, callee: &self.callee }
    }

    /// The answer in plain text, of at most so many bytes, if it was encrypted as the call was. One that is not counts
    /// for nothing but to say that the service did not even look at the call: else anybody on the way could answer in its
    /// place, or let it answer in a form that is bound to nothing.
    pub(super) async fn open(&self, reply: Reply, most: usize) -> Result<Reply, CallFailure> {
        let Reply { status, mut headers, body } = reply;
        let ReplyBody::Whole(body) = body else {
            return Err(CallFailure::Malformed("an encrypted answer was not read whole".into()));
        };
        let said = EncryptionHeaders::of(&headers);
        let form = match said.form() {
            Ok(Some(form)) => form,
            Ok(None) if self.may_be_plain(status) => {
                return Ok(Reply { status, headers, body: ReplyBody::Whole(body) });
            }
            Ok(None) => {
                return Err(CallFailure::Unavailable(format!(
                    "its answer, {status}, is not encrypted; both sides need the same keys, which `keelson keys list` names"
                )));
            }
            Err(_) => return Err(CallFailure::Malformed("how its answer is encrypted is not clear".into())),
        };
        let failed = |cause: &dyn std::error::Error| {
            CallFailure::Malformed(format!("its answer, {status}, cannot be decrypted: {cause}"))
        };
        if form != self.form {
            return Err(CallFailure::Malformed(format!("its answer, {status}, is encrypted in another form")));
        }
        let [own, callees] = &self.rings;
        let is_with_own = said.encryption_service.equals(&self.caller);
        let ring = if is_with_own { own } else { callees };
        ready_for(form, ring).await.map_err(|error| failed(&error))?;
        let (call, direction, now) = (self.call(), Direction::Response, self.keys.now());
        let stamp = said.stamp();
        let opening = Opening { form, stamp: stamp.as_ref(), ring, call, direction, now, taken: &self.keys.taken };
        let plain = opening.open(&body).map_err(|undecryptable| failed(&undecryptable.cause()))?;
        if plain.len() > most {
            return Err(CallFailure::TooLarge(most));
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(plain.len()));
        // That of the JSON around it; what is in it nobody says.
        headers.remove(CONTENT_TYPE);
        Ok(Reply { status, headers, body: ReplyBody::Whole(plain.into()) })
    }

    /// Whether an answer with this status need not be encrypted: it has no body, or the edge of a service, or something
    /// in front of it, gives it before anything is decrypted. Not 400: that its keys are others than ours says nothing
    /// about what was sent.
    fn may_be_plain(&self, status: StatusCode) -> bool {
        let comes_before = matches!(
            status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::URI_TOO_LONG
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        );
        let is_without_body = *self.method == Method::HEAD || has_no_body(status);
        comes_before || status.is_server_error() || is_without_body
    }
}

fn unsendable(cause: impl ToString) -> CallFailure {
    CallFailure::Unsendable(format!("it cannot be encrypted: {}", cause.to_string()))
}
