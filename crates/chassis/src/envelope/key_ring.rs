//! The keys of one owner at one time: the first encrypts, all decrypt.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::aes_gcm::Body;
use super::entries;
use super::fernet::Token;
use super::key::EncryptionKey;
use super::v2::V2Key;
use super::{Binding, Cause, EncryptError, Received, ReplayCache, Sealed, Undecryptable};
use crate::config::check_secret;

/// Keys of the largest ring: old peers name no key, so each of their bodies is tried with all.
pub const MAX_KEYS: usize = 8;

/// One key or several, of one owner.
///
/// The text of a setting is one key, or a JSON object of ids and keys. The first key encrypts, so the newest one stands
/// first. A new key stands second until all who decrypt have it, then first, and the old key leaves once nothing that
/// it has encrypted is under way: nothing is refused on the way. A single random key needs no id, which follows from it
/// then.
#[derive(Debug)]
pub struct KeyRing {
    newest: EncryptionKey,
    older: Vec<EncryptionKey>,
}

/// Why a text is no ring. Holds nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found {found}; expected one key, which `openssl rand -base64 32` prints, or up to {MAX_KEYS} as a JSON object of \
     ids and keys, with the one first that encrypts: {{\"2026-07\":\"…\",\"2026-01\":\"…\"}}"
)]
pub struct KeyRingError {
    found: String,
}

impl KeyRingError {
    pub(super) fn found(found: impl Into<String>) -> Self {
        Self { found: found.into() }
    }
}

impl KeyRing {
    /// Reads a text.
    ///
    /// # Errors
    /// What was found when it is no ring, and how to make one.
    pub fn parse(text: &SecretString) -> Result<Self, KeyRingError> {
        let entries = entries::read(text)?;
        if entries.len() > MAX_KEYS {
            return Err(KeyRingError::found(format!("{} keys", entries.len())));
        }
        let failed = |_| KeyRingError::found("a key that the cryptographic library does not take");
        let mut keys = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = EncryptionKey::new(entry).map_err(failed)?;
            check_differs(&keys, &key)?;
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or_else(|| KeyRingError::found("a JSON object without a key"))?;
        Ok(Self { newest, older: keys.collect() })
    }

    /// Says why production cannot take one of these keys; `None` when it can take all.
    #[must_use]
    pub fn check_secrets(&self) -> Option<String> {
        let judged = self.keys().zip(1..).find_map(|(key, number)| Some((number, check_secret(key.text())?)));
        judged.map(|(number, expected)| format!("for key {number}: {expected}"))
    }

    /// For who speaks v2, which takes no other keys.
    ///
    /// # Errors
    /// Which key is not 32 bytes in base64.
    pub fn check_random(&self) -> Result<(), KeyRingError> {
        match self.keys().zip(1..).find(|(key, _)| key.v2.is_none()) {
            None => Ok(()),
            Some((key, number)) => {
                let length = key.text().expose_secret().len();
                Err(KeyRingError::found(format!("a text of {length} bytes as key {number}, not 32 bytes in base64")))
            }
        }
    }

    /// Derives what the first GCM form needs, some 30 ms of processor time for each key. Whoever speaks that form calls
    /// this on a thread that may block, before the ring counts: else the first body that comes does it where it is.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn derive(&self) -> Result<(), EncryptError> {
        for key in self.keys() {
            key.derived.get()?;
        }
        Ok(())
    }

    /// Whether [`KeyRing::derive`] is done.
    pub(crate) fn is_derived(&self) -> bool {
        self.keys().all(|key| key.derived.is_ready())
    }

    /// Whether v2 bodies can be encrypted.
    pub(crate) fn speaks_v2(&self) -> bool {
        self.newest.v2.is_some()
    }

    /// The id of the key that encrypts.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.newest.id()
    }

    /// Whether a v2 body that names this key can be decrypted.
    #[must_use]
    pub fn has_key(&self, key_id: &str) -> bool {
        self.keys().any(|key| key.v2.is_some() && key.id() == key_id)
    }

    /// `encrypted_data` in the form of Fernet.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn encrypt_fernet(&self, plaintext: &[u8], now: Timestamp) -> Result<String, EncryptError> {
        Ok(self.newest.fernet.encrypt(plaintext, now)?)
    }

    /// Decrypts `encrypted_data` in the form of Fernet, or a bare token, for 60 seconds after it was made.
    ///
    /// # Errors
    /// [`Undecryptable`].
    pub fn decrypt_fernet(&self, encrypted_data: &[u8], now: Timestamp) -> Result<Vec<u8>, Undecryptable> {
        let token = Token::decode(encrypted_data)?;
        token.check_time(now)?;
        Ok(token.decrypt(self.keys().map(|key| &key.fernet))?)
    }

    /// `encrypted_data` in the first GCM form.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn encrypt_gcm(&self, plaintext: &[u8]) -> Result<String, EncryptError> {
        let mut encrypted_data = String::new();
        self.newest.derived.get()?.seal(plaintext, &[], &mut encrypted_data)?;
        Ok(encrypted_data)
    }

    /// Decrypts `encrypted_data` in the first GCM form: for ever, as often as it comes, and for whatever call.
    ///
    /// # Errors
    /// [`Undecryptable`].
    pub fn decrypt_gcm(&self, encrypted_data: &[u8]) -> Result<Vec<u8>, Undecryptable> {
        let body = Body::decode(encrypted_data)?;
        let mut keys = self.keys().peekable();
        while let Some(key) = keys.next() {
            let key = key.derived.get().map_err(|_| Cause::Failed)?;
            // Whoever tries has it afterwards, so all but the last get copies.
            if keys.peek().is_none() {
                return Ok(key.open(body, &[]).ok_or(Cause::Authentication)?);
            }
            if let Some(plaintext) = key.open(body.clone(), &[]) {
                return Ok(plaintext);
            }
        }
        Err(Cause::Authentication.into())
    }

    /// A v2 body, for this call alone.
    ///
    /// # Errors
    /// The key that encrypts is no random one, or the call has a line break, or the cryptographic library failed.
    pub fn encrypt_v2(&self, plaintext: &[u8], binding: &Binding<'_>, now: Timestamp) -> Result<Sealed, EncryptError> {
        let (key, time) = (self.v2_key(None)?, now.as_second());
        let mut encrypted_data = String::new();
        key.seal(plaintext, binding, time, &mut encrypted_data)?;
        Ok(Sealed { key_id: key.id().as_str().to_owned(), time, encrypted_data })
    }

    /// The newest key, or the one of this id, that whoever is to read it is known to have.
    pub(super) fn v2_key(&self, key_id: Option<&str>) -> Result<&V2Key, EncryptError> {
        let key = match key_id {
            None => &self.newest,
            Some(key_id) => self.keys().find(|key| key.id() == key_id).ok_or(EncryptError::UnknownKey)?,
        };
        key.v2.as_ref().ok_or(EncryptError::KeyNotRandom)
    }

    /// Decrypts a v2 body: of this call, once, and for 60 seconds before and after its time.
    ///
    /// # Errors
    /// [`Undecryptable`].
    pub fn decrypt_v2(
        &self,
        received: &Received<'_>,
        binding: &Binding<'_>,
        now: Timestamp,
        taken: &ReplayCache,
    ) -> Result<Vec<u8>, Undecryptable> {
        let named = self.keys().find(|key| key.id() == received.key_id);
        let key = named.and_then(|key| key.v2.as_ref()).ok_or(Cause::UnknownKey)?;
        Ok(key.open(received, binding, now, taken)?)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_as_long = self.older.len() == other.older.len();
        is_as_long && self.keys().zip(other.keys()).all(|(one, other)| one.is_same(other))
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &EncryptionKey> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

/// A key that is there twice is a rotation that changes nothing, or half of one that was not finished.
fn check_differs(keys: &[EncryptionKey], key: &EncryptionKey) -> Result<(), KeyRingError> {
    let number = keys.len() + 1;
    for (earlier, earlier_number) in keys.iter().zip(1..) {
        if earlier.id() == key.id() {
            return Err(KeyRingError::found(format!("the same id of key {earlier_number} and key {number}")));
        }
        if earlier.has_text_of(key) {
            return Err(KeyRingError::found(format!("the same text as key {earlier_number} and key {number}")));
        }
    }
    Ok(())
}
