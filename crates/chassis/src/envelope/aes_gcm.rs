//! AES-256-GCM (NIST SP 800-38D), and the body that both forms on it share: base64 of nonce, ciphertext and tag.

use std::cell::RefCell;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use base64_simd::{AsOut as _, STANDARD};

use super::Cause;
use super::random::draw;

/// Bytes of a random key.
pub const KEY_BYTES: usize = 32;
/// The base64 of a nonce ends where that of the rest begins, so each can be decoded to where it is needed.
const NONCE_CHARACTERS: usize = NONCE_LEN / 3 * 4;
/// What a thread keeps; a longer body has memory of its own.
const MAX_SCRATCH_BYTES: usize = 128 * 1024;

/// Draws a nonce for each body. By section 8.3 of SP 800-38D that is good for 2³² bodies of one key, so that two with
/// one nonce are less likely than 2⁻³²: for a key that encrypts a thousand bodies a second, seven weeks.
pub(super) struct AesGcmKey(LessSafeKey);

/// A body in its parts. Nothing is known to be authentic yet.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) nonce: [u8; NONCE_LEN],
    ciphertext_and_tag: Vec<u8>,
}

thread_local! {
    /// Bodies before they are base64. To allocate one each time, and fill it with zeros, takes a third of the time that
    /// the cipher does.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Characters of a body with so many bytes.
pub(super) fn encoded_length(plaintext_bytes: usize) -> usize {
    STANDARD.encoded_length(NONCE_LEN + plaintext_bytes + MAX_TAG_LEN)
}

impl AesGcmKey {
    pub(super) fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, Unspecified> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes)?)))
    }

    /// Appends nonce, ciphertext and tag in base64.
    pub(super) fn seal(&self, plaintext: &[u8], associated: &[u8], text: &mut String) -> Result<(), Unspecified> {
        self.seal_bare(plaintext, associated, |body| STANDARD.encode_append(body, text))
    }

    /// Without base64: `take` gets nonce, ciphertext and tag, and must not seal.
    pub(super) fn seal_bare<T>(
        &self,
        plaintext: &[u8],
        associated: &[u8],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Unspecified> {
        let nonce = draw()?;
        let length = NONCE_LEN + plaintext.len() + MAX_TAG_LEN;
        if length > MAX_SCRATCH_BYTES {
            let mut body = vec![0; length];
            self.seal_with(nonce, plaintext, associated, &mut body)?;
            return Ok(take(&body));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.len() < length {
                scratch.resize(length, 0);
            }
            let (body, _longer_ones) = scratch.split_at_mut(length);
            self.seal_with(nonce, plaintext, associated, body)?;
            Ok(take(body))
        })
    }

    /// The nonce must be one that this key has not seen; `body` must have room for it, the plaintext and the tag.
    pub(super) fn seal_with(
        &self,
        nonce: [u8; NONCE_LEN],
        plaintext: &[u8],
        associated: &[u8],
        body: &mut [u8],
    ) -> Result<(), Unspecified> {
        let (head, rest) = body.split_first_chunk_mut::<NONCE_LEN>().ok_or(Unspecified)?;
        let (ciphertext, tag) = rest.split_at_mut_checked(plaintext.len()).ok_or(Unspecified)?;
        *head = nonce;
        let (nonce, associated) = (Nonce::assume_unique_for_key(nonce), Aad::from(associated));
        self.0.seal_out_of_place_scatter(nonce, associated, plaintext, ciphertext, &[], tag)
    }

    /// In place: the plaintext has the memory of the body.
    pub(super) fn open(&self, body: Body, associated: &[u8]) -> Option<Vec<u8>> {
        let Body { nonce, ciphertext_and_tag: mut in_out } = body;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.0.open_in_place(nonce, Aad::from(associated), &mut in_out).ok()?.len();
        in_out.truncate(length);
        Some(in_out)
    }
}

impl Body {
    pub(super) fn decode(encrypted_data: &[u8]) -> Result<Self, Cause> {
        let (head, rest) = encrypted_data.split_at_checked(NONCE_CHARACTERS).ok_or(Cause::Length)?;
        let mut nonce = [0; NONCE_LEN];
        // Padding would be for fewer bytes, and stands at the end of a text alone.
        let decoded = STANDARD.decode(head, nonce.as_mut_slice().as_out()).map_err(|_| Cause::Encoding)?;
        if decoded.len() < NONCE_LEN {
            return Err(Cause::Encoding);
        }
        Self::read(nonce, STANDARD.decode_to_vec(rest).map_err(|_| Cause::Encoding)?)
    }

    /// What base64 stood for.
    pub(super) fn read(nonce: [u8; NONCE_LEN], ciphertext_and_tag: Vec<u8>) -> Result<Self, Cause> {
        if ciphertext_and_tag.len() < MAX_TAG_LEN {
            return Err(Cause::Length);
        }
        Ok(Self { nonce, ciphertext_and_tag })
    }
}

impl fmt::Debug for AesGcmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesGcmKey").finish_non_exhaustive()
    }
}
