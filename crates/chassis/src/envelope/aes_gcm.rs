//! AES-256-GCM (NIST SP 800-38D), and the body that both forms on it share: base64 of nonce, ciphertext and tag.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Cause;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// Draws a nonce for each body. By section 8.3 of SP 800-38D that is good for 2³² bodies of one key, so that two with
/// one nonce are less likely than 2⁻³²: for a key that encrypts a thousand bodies a second, seven weeks.
pub(super) struct AesGcmKey(LessSafeKey);

/// A body in its parts. Nothing is known to be authentic yet.
pub(super) struct Body {
    pub(super) nonce: [u8; NONCE_LEN],
    ciphertext: Vec<u8>,
    tag: [u8; MAX_TAG_LEN],
}

impl AesGcmKey {
    pub(super) fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, Unspecified> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes)?)))
    }

    pub(super) fn seal(&self, plaintext: &[u8], associated: &[u8]) -> Result<String, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce)?;
        self.seal_with(nonce, plaintext, associated)
    }

    /// The nonce must be one that this key has not seen.
    pub(super) fn seal_with(
        &self,
        nonce: [u8; NONCE_LEN],
        plaintext: &[u8],
        associated: &[u8],
    ) -> Result<String, Unspecified> {
        let mut body = Vec::with_capacity(NONCE_LEN + plaintext.len() + MAX_TAG_LEN);
        body.extend_from_slice(&nonce);
        body.extend_from_slice(plaintext);
        let (_nonce, in_out) = body.split_at_mut(NONCE_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(associated), in_out)?;
        body.extend_from_slice(tag.as_ref());
        Ok(STANDARD.encode(body))
    }

    /// Leaves the body as it is, so that another key can try.
    pub(super) fn open(&self, body: &Body, associated: &[u8]) -> Option<Vec<u8>> {
        let nonce = Nonce::assume_unique_for_key(body.nonce);
        let mut plaintext = vec![0; body.ciphertext.len()];
        self.0.open_separate_gather(nonce, Aad::from(associated), &body.ciphertext, &body.tag, &mut plaintext).ok()?;
        Some(plaintext)
    }
}

impl Body {
    pub(super) fn decode(encrypted_data: &str) -> Result<Self, Cause> {
        let mut bytes = STANDARD.decode(encrypted_data).map_err(|_| Cause::Encoding)?;
        let nonce = *bytes.first_chunk::<NONCE_LEN>().ok_or(Cause::Length)?;
        let mut ciphertext = bytes.split_off(NONCE_LEN);
        let tag = *ciphertext.last_chunk::<MAX_TAG_LEN>().ok_or(Cause::Length)?;
        ciphertext.truncate(ciphertext.len() - MAX_TAG_LEN);
        Ok(Self { nonce, ciphertext, tag })
    }
}

impl fmt::Debug for AesGcmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesGcmKey").finish_non_exhaustive()
    }
}
