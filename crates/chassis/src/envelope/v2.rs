//! Our own form: a body is bound to the call that it is part of and to its time, and is taken once.

use jiff::Timestamp;

use super::aes_gcm::{AesGcmKey, Body};
use super::form::HeaderText;
use super::{Cause, EncryptError, ReplayCache};

/// First line of the associated data.
const NAME: &[u8] = b"keelson-v2";

/// Seconds for which a body is good, before and after its own time.
pub(super) const WINDOW_SECONDS: i64 = 60;

/// Which way a body goes: a request that is sent back is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the caller to the callee.
    Request,
    /// From the callee to the caller.
    Response,
}

/// The call that a body is part of. With another one it cannot be decrypted.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// Which way the body goes.
    pub direction: Direction,
    /// The request's method, for its response too.
    pub method: &'a str,
    /// The request's path with its query, as it stands in the request line.
    pub path: &'a str,
    /// The name of who sends this body. In bytes, as headers have it: to see that it is text takes time.
    pub sender: &'a [u8],
    /// The name of who is to read it.
    pub target: &'a [u8],
}

/// A body on its way out, with what goes into the headers beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which key decrypts it.
    pub key_id: String,
    /// When it was encrypted, in seconds since 1970.
    pub time: i64,
    /// Base64 of nonce, ciphertext and tag.
    pub encrypted_data: String,
}

/// A body that came in, with what its headers say. Nothing of it is believed yet.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Which key is said to decrypt it.
    pub key_id: &'a str,
    /// When it is said to have been encrypted, in seconds since 1970.
    pub time: i64,
    /// Base64 of nonce, ciphertext and tag.
    pub encrypted_data: &'a [u8],
}

/// A random key and its id.
#[derive(Debug)]
pub(super) struct V2Key {
    id: HeaderText,
    key: AesGcmKey,
}

impl V2Key {
    pub(super) fn new(id: HeaderText, key: AesGcmKey) -> Self {
        Self { id, key }
    }

    pub(super) fn id(&self) -> &HeaderText {
        &self.id
    }

    /// Appends `encrypted_data` of a body of this second.
    pub(super) fn seal(
        &self,
        plaintext: &[u8],
        binding: &Binding<'_>,
        time: i64,
        text: &mut String,
    ) -> Result<(), EncryptError> {
        let associated = binding.associated_data(time, self.id.as_str()).ok_or(EncryptError::LineBreak)?;
        Ok(self.key.seal(plaintext, &associated, text)?)
    }

    /// Only what is authentic gets into the cache, so nobody without a key can fill it.
    pub(super) fn open(
        &self,
        received: &Received<'_>,
        binding: &Binding<'_>,
        now: Timestamp,
        taken: &ReplayCache,
    ) -> Result<Vec<u8>, Cause> {
        let (time, now) = (received.time, now.as_second());
        check_time(time, now)?;
        let associated = binding.associated_data(time, self.id.as_str()).ok_or(Cause::LineBreak)?;
        let body = Body::decode(received.encrypted_data)?;
        let nonce = body.nonce;
        let plaintext = self.key.open(body, &associated).ok_or(Cause::Authentication)?;
        taken.take(nonce, time, now)?;
        Ok(plaintext)
    }
}

fn check_time(time: i64, now: i64) -> Result<(), Cause> {
    if time < now.saturating_sub(WINDOW_SECONDS) {
        return Err(Cause::Expired);
    }
    if time > now.saturating_add(WINDOW_SECONDS) {
        return Err(Cause::Future);
    }
    Ok(())
}

impl Binding<'_> {
    /// `None` when a line break in one of the lines would make it two: those of another call could read the same then.
    pub(super) fn associated_data(&self, time: i64, key_id: &str) -> Option<Vec<u8>> {
        let direction: &[u8] = match self.direction {
            Direction::Request => b"request",
            Direction::Response => b"response",
        };
        let mut digits = itoa::Buffer::new();
        let time = digits.format(time).as_bytes();
        let (method, path) = (self.method.as_bytes(), self.path.as_bytes());
        let lines = [NAME, direction, method, path, self.sender, self.target, time, key_id.as_bytes()];
        let has_line_break = lines.iter().any(|line| line.contains(&b'\n'));
        (!has_line_break).then(|| lines.join(&b'\n'))
    }
}
