//! AES-256-GCM as bodies of calls are encrypted with it, without the base64 around it: for who measures the cipher
//! alone (feature `testing`).

use std::fmt;

use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::error::Unspecified;

use super::aes_gcm::{AesGcmKey, Body, KEY_BYTES};

/// One key of it.
#[derive(Debug)]
pub struct BareGcm(AesGcmKey);

/// Nonce, ciphertext and tag.
#[derive(Clone)]
pub struct BareBody(Body);

impl BareGcm {
    /// # Errors
    /// The cryptographic library failed.
    pub fn new(key: &[u8; KEY_BYTES]) -> Result<Self, Unspecified> {
        AesGcmKey::new(key).map(Self)
    }

    /// Gives `take` nonce, ciphertext and tag.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn seal<T>(
        &self,
        plaintext: &[u8],
        associated: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Unspecified> {
        self.0.seal_bare(plaintext, associated, take)
    }

    /// The plaintext; `None` when it is not authentic.
    #[must_use]
    pub fn open(&self, body: BareBody, associated: &[u8]) -> Option<Vec<u8>> {
        self.0.open(body.0, associated)
    }
}

impl BareBody {
    /// `None` when it is too short.
    #[must_use]
    pub fn read(sealed: &[u8]) -> Option<Self> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        Body::read(*nonce, rest.to_vec()).map(Self).ok()
    }
}

impl fmt::Debug for BareBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BareBody").finish_non_exhaustive()
    }
}
