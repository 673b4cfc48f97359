//! The first GCM form, for old peers: a key that is derived from any text, and nothing bound but the body itself.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::OnceLock;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::pbkdf2;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::aes_gcm::{AesGcmKey, KEY_BYTES};

/// What old peers have in their code: the same for everybody, so equal texts are equal keys everywhere.
const SALT: &[u8] = b"priscope_salt";
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();

/// A key that is derived when it is first needed, and kept.
pub(super) struct DerivedKey {
    text: SecretString,
    key: OnceLock<Result<AesGcmKey, Unspecified>>,
}

impl DerivedKey {
    pub(super) fn new(text: SecretString) -> Self {
        Self { text, key: OnceLock::new() }
    }

    pub(super) fn text(&self) -> &SecretString {
        &self.text
    }

    /// Whether [`DerivedKey::get`] takes no time.
    pub(super) fn is_ready(&self) -> bool {
        self.key.get().is_some()
    }

    /// The first call takes some 30 ms of processor time, and whoever else calls meanwhile waits for it: it is for a
    /// thread that may block. Every later one takes none.
    pub(super) fn get(&self) -> Result<&AesGcmKey, Unspecified> {
        self.key.get_or_init(|| AesGcmKey::new(&derive(&self.text))).as_ref().map_err(|error| *error)
    }
}

/// RFC 8018, section 5.2, with HMAC-SHA256.
pub(super) fn derive(text: &SecretString) -> Zeroizing<[u8; KEY_BYTES]> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let text = text.expose_secret().as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, SALT, text, key.as_mut_slice());
    key
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedKey").finish_non_exhaustive()
    }
}
