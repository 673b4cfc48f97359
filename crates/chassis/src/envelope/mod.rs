//! Encrypted bodies of calls between services: three forms, and the keys that they use.
//!
//! * Fernet, for old peers: AES-128-CBC with HMAC-SHA256, version 0x80 of <https://github.com/fernet/spec>.
//! * The first GCM form, for old peers: AES-256-GCM (NIST SP 800-38D) with a key that PBKDF2 (RFC 8018, section 5.2)
//!   derives. Nothing but the body is bound, and nothing bounds a replay.
//! * v2, what our services speak: AES-256-GCM with a random key, bound to the call and to its time, each body taken
//!   once.
//!
//! [`KeyRing`] is made of the text of a setting and encrypts and decrypts, [`EncryptionKeys`] is the ring that counts
//! now, [`ReplayCache`] knows which v2 bodies were taken, [`ServiceKeys`] whose rings there are.
//! [`RingText`] makes and rotates such texts, for operators. A message says by its
//! headers which [`Form`] its body has (`form`, `message`). Which requests must be encrypted is for the edge to say
//! (`crate::http`), and which calls are for the client (`crate::client`).

mod aes_gcm;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod bare;
mod entries;
mod error;
mod fernet;
mod form;
mod gcm;
mod key;
mod key_ring;
mod keys;
mod message;
mod random;
mod replay;
mod ring_text;
mod service_keys;
mod steps;
#[cfg(test)]
mod tests;
mod v2;

pub use aes_gcm::KEY_BYTES;
pub use error::{Cause, EncryptError, Undecryptable};
pub use form::Form;
pub(crate) use form::{
    ENCRYPT_RESPONSE, EncryptionHeaders, HeaderText, KEY_ID, NoForm, SERVICE_NAME, Stamp, TARGET_SERVICE,
};
pub use key_ring::{KeyRing, KeyRingError, MAX_KEYS};
pub use keys::EncryptionKeys;
pub(crate) use message::{CallBinding, Opening, Sealing, has_no_body, ready_for};
pub use random::seed_random;
pub use replay::ReplayCache;
pub use ring_text::{NamedKey, RingText, random_key};
pub use service_keys::ServiceKeys;
pub use steps::{NotRotatable, RotationStep};
pub use v2::{Binding, Direction, Received, Sealed};
