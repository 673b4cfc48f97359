//! One key, in each form that it can be used in.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_PAD_INDIFFERENT, URL_SAFE_NO_PAD, URL_SAFE_PAD_INDIFFERENT};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::aes_gcm::{AesGcmKey, KEY_BYTES};
use super::entries::Entry;
use super::fernet::{self, FernetKey};
use super::form::HeaderText;
use super::gcm::DerivedKey;
use super::v2::V2Key;
use crate::auth::is_same;

/// Bytes of the id of a key that was given none: enough that two never share one.
const ID_BYTES: usize = 16;
/// The id of a text that is no random key. It is never sent, since v2 alone sends ids: what is computed from a text
/// that can be guessed tells whether a guess is right.
const TEXT_ID: &str = "text";

/// What one text of a setting is good for.
#[derive(Debug)]
pub(super) struct EncryptionKey {
    id: String,
    pub(super) fernet: FernetKey,
    pub(super) derived: DerivedKey,
    /// Only of a text that is 32 bytes in base64.
    pub(super) v2: Option<V2Key>,
}

impl EncryptionKey {
    pub(super) fn new(entry: Entry) -> Result<Self, Unspecified> {
        let text = entry.text.expose_secret();
        let fernet = FernetKey::new(&fernet::key_bytes(text))?;
        let random = random_bytes(text);
        let id = entry.id.unwrap_or_else(|| random.as_deref().map_or_else(|| TEXT_ID.to_owned(), id_of));
        let v2 = match &random {
            Some(bytes) => Some(V2Key::new(HeaderText::new(&id).ok_or(Unspecified)?, AesGcmKey::new(bytes)?)),
            None => None,
        };
        Ok(Self { id, fernet, derived: DerivedKey::new(entry.text), v2 })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn text(&self) -> &SecretString {
        self.derived.text()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.has_text_of(other)
    }

    pub(super) fn has_text_of(&self, other: &Self) -> bool {
        is_same(self.text(), other.text().expose_secret().as_bytes())
    }
}

/// In either alphabet, with padding or without: programs that print random keys differ.
fn random_bytes(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let decoded = STANDARD_PAD_INDIFFERENT.decode(text).or_else(|_| URL_SAFE_PAD_INDIFFERENT.decode(text));
    let decoded = Zeroizing::new(decoded.ok()?);
    Some(Zeroizing::new(<[u8; KEY_BYTES]>::try_from(decoded.as_slice()).ok()?))
}

/// Whoever has the key finds the same id.
fn id_of(bytes: &[u8; KEY_BYTES]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"keelson key id");
    let (id, _rest) = tag.as_ref().split_at(ID_BYTES);
    URL_SAFE_NO_PAD.encode(id)
}
