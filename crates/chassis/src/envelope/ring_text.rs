//! The text of a ring, for whoever makes and changes it: ids and keys in their order. Each step of a rotation is in
//! `steps`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use super::{KEY_BYTES, KeyRing, KeyRingError};

/// Bytes of JSON around one key, and more than that.
const AROUND_KEY: usize = 16;
/// Bytes of the longest escape of one byte in JSON.
const LONGEST_ESCAPE: usize = 6;

/// What a [`KeyRing`] is read from, with an id for every key: the first encrypts, all decrypt.
///
/// A random key that stood alone and without an id gets the one that follows from it, which is how peers know it who
/// still have it alone.
#[derive(Debug, Clone)]
pub struct RingText {
    pub(super) keys: Vec<NamedKey>,
}

/// One key of a ring.
#[derive(Debug, Clone)]
pub struct NamedKey {
    pub(super) id: String,
    text: SecretString,
    pub(super) is_random: bool,
}

impl RingText {
    /// A ring of one new key. `random` comes from the operating system's source of randomness.
    ///
    /// # Errors
    /// `id` is not 1 to 32 letters, digits, dots, hyphens or underscores.
    pub fn generate(id: &str, random: &[u8; KEY_BYTES]) -> Result<Self, KeyRingError> {
        Self { keys: vec![NamedKey::random(id.to_owned(), random)] }.checked()
    }

    /// Reads what [`KeyRing::parse`] reads.
    ///
    /// # Errors
    /// What was found when it is no ring, and how to make one.
    pub fn parse(text: &SecretString) -> Result<Self, KeyRingError> {
        let ring = KeyRing::parse(text)?;
        let keys = ring.keys().map(|key| NamedKey {
            id: key.id().to_owned(),
            text: key.text().clone(),
            is_random: key.v2.is_some(),
        });
        Ok(Self { keys: keys.collect() })
    }

    /// The JSON object that [`KeyRing::parse`] reads, a line for each key.
    #[must_use]
    #[expect(clippy::expect_used, reason = "strings are JSON, and JSON is UTF-8")]
    pub fn to_secret(&self) -> SecretString {
        let longest = |key: &NamedKey| AROUND_KEY + LONGEST_ESCAPE * (key.id.len() + key.text.expose_secret().len());
        // A buffer that grew would leave keys behind, in memory that nobody wipes.
        let room = AROUND_KEY + self.keys.iter().map(longest).sum::<usize>();
        let mut buffer = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer_pretty(&mut *buffer, &Members(&self.keys)).expect("a buffer takes it");
        SecretString::from(std::str::from_utf8(&buffer).expect("JSON is UTF-8"))
    }

    /// The keys, the one first that encrypts.
    #[must_use]
    pub fn keys(&self) -> &[NamedKey] {
        &self.keys
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(NamedKey::id)
    }

    /// What is written must be what services read.
    pub(super) fn checked(self) -> Result<Self, KeyRingError> {
        KeyRing::parse(&self.to_secret()).map(|_ring| self)
    }
}

impl NamedKey {
    pub(super) fn random(id: String, random: &[u8; KEY_BYTES]) -> Self {
        Self { id, text: random_key(random), is_random: true }
    }

    /// Its id, which headers carry and which tells nothing of the key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it is 32 bytes in base64, which v2 asks for. Any other text is for the older forms alone.
    #[must_use]
    pub fn is_random(&self) -> bool {
        self.is_random
    }
}

/// A key without an id, as a setting may hold it too: its id follows from it.
#[must_use]
pub fn random_key(random: &[u8; KEY_BYTES]) -> SecretString {
    SecretString::from(STANDARD.encode(random))
}

/// Not for `RingText` itself: nobody should print one by accident.
struct Members<'a>(&'a [NamedKey]);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|key| (&key.id, key.text.expose_secret())))
    }
}
