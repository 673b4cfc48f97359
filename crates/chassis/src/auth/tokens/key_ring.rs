//! The keys of one time: the present one, and while a rotation lasts the one before it.

use super::verifying_keys::VerifyingKeys;
use super::{Jwks, SigningKey};

/// The current key signs; both verify, so that a rotation refuses no token that is still valid. The previous key can
/// leave the ring once the lifetime of a token has passed.
#[derive(Debug)]
pub struct KeyRing {
    /// Signs and verifies.
    pub current: SigningKey,
    /// Verifies alone.
    pub previous: Option<SigningKey>,
}

impl KeyRing {
    /// What others may know of these keys.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        Jwks::new(self.keys().filter_map(SigningKey::public).cloned())
    }

    pub(super) fn verifying(&self) -> VerifyingKeys {
        VerifyingKeys::new(self.keys().map(|key| key.verifying().clone()).collect())
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.keys().map(SigningKey::kid).eq(other.keys().map(SigningKey::kid))
    }

    fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}
