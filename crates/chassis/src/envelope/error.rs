//! Why a body was not decrypted or encrypted. Nothing here holds anything of a key or a body.

use std::time::Duration;

use aws_lc_rs::error::Unspecified;

use crate::error::{Error, Kind};

/// When a caller may come back that found the replay cache full: each second makes room.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A body that is not taken. Its text is the same whatever the cause, since each difference that a caller can see helps
/// whoever probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Failed to decrypt request data")]
pub struct Undecryptable {
    cause: Cause,
}

/// Why a body is not taken, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No JSON object with the encrypted text.
    #[error("it is no JSON object with `encrypted_data`")]
    Body,
    /// One that its form needs is missing, doubled or unreadable.
    #[error("a header that its form needs is missing, there twice, or unreadable")]
    Headers,
    /// The first GCM form, where it is not taken.
    #[error("the first GCM form is not taken here (ALLOW_LEGACY_GCM)")]
    NotTaken,
    /// Nobody could read the answer.
    #[error("there is no key here to encrypt the answer with")]
    NoAnswer,
    /// Not the base64 of its form.
    #[error("it is not the base64 that its form asks for")]
    Encoding,
    /// Shorter than an empty body, or no whole number of blocks.
    #[error("its length is none that an encrypted body has")]
    Length,
    /// Another version of Fernet, or no Fernet at all.
    #[error("it is no Fernet token of version 0x80")]
    Version,
    /// No key has this id.
    #[error("its key is not known, or no longer")]
    UnknownKey,
    /// Changed, for another call, or made with another key.
    #[error("no key that counts has encrypted it for this call")]
    Authentication,
    /// Authentic, and not padded as PKCS #7 says.
    #[error("its padding is wrong")]
    Padding,
    /// Part of the call has a line break, so it does not say clearly what it is bound to.
    #[error("what it is bound to has a line break")]
    LineBreak,
    /// Its time has passed.
    #[error("it has expired")]
    Expired,
    /// Its time lies ahead.
    #[error("it is from the future")]
    Future,
    /// Its nonce was seen before.
    #[error("it was taken before")]
    Replayed,
    /// Nobody could tell later that it was taken.
    #[error("the replay cache is full")]
    ReplayCacheFull,
    /// A fault of the machine or of the library.
    #[error("the cryptographic library failed")]
    Failed,
}

/// Why a body was not encrypted: a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// v2 takes random keys alone.
    #[error(
        "the key that encrypts is not 32 bytes in base64, which v2 needs: `openssl rand -base64 32` prints such a key"
    )]
    KeyNotRandom,
    /// No key of the ring has this id.
    #[error("there is no such key")]
    UnknownKey,
    /// Part of the call has a line break.
    #[error("what the body is bound to has a line break")]
    LineBreak,
    /// A fault of the machine or of the library.
    #[error("the cryptographic library failed")]
    Failed,
}

impl Undecryptable {
    /// For the log alone.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }
}

impl From<Cause> for Undecryptable {
    fn from(cause: Cause) -> Self {
        Self { cause }
    }
}

impl From<Undecryptable> for Error {
    fn from(error: Undecryptable) -> Self {
        match error.cause {
            // Only who has a key comes this far, and it may be good: a body that is encrypted anew can be taken later.
            Cause::ReplayCacheFull => Self::new(Kind::Overloaded, "Too many requests at once, try again later")
                .retry_after(RETRY_AFTER)
                .caused_by(error.cause),
            cause => Self::new(Kind::BadRequest, error.to_string()).caused_by(cause),
        }
    }
}

impl From<Unspecified> for EncryptError {
    fn from(_: Unspecified) -> Self {
        Self::Failed
    }
}

impl From<EncryptError> for Error {
    fn from(error: EncryptError) -> Self {
        Self::internal(error)
    }
}
