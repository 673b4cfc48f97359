//! The ring that counts now. Whoever encrypts or decrypts shares it, so a rotation reaches all of them at once.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::info;

use super::KeyRing;

/// Keys that can be replaced while requests are served.
pub struct EncryptionKeys {
    active: RwLock<Arc<KeyRing>>,
}

impl EncryptionKeys {
    /// Keys to begin with.
    #[must_use]
    pub fn new(ring: KeyRing) -> Arc<Self> {
        Arc::new(Self { active: RwLock::new(Arc::new(ring)) })
    }

    /// Lets another ring count. A key that is not in it decrypts nothing from now on. The same keys again change
    /// nothing, so this may be called whenever the settings were read. Where the first GCM form is spoken
    /// ([`EncryptionKeys::speaks_gcm`]), [`KeyRing::derive`] is called before.
    pub fn replace(&self, ring: KeyRing) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        if active.is_same(&ring) {
            return;
        }
        info!(kid = ring.key_id(), "the keys of encrypted calls were replaced");
        *active = Arc::new(ring);
    }

    /// Whether somebody has used the first GCM form with these keys.
    #[must_use]
    pub fn speaks_gcm(&self) -> bool {
        self.ring().is_derived()
    }

    /// The ring that counts now. Whoever answers a request keeps it for the response: a ring that comes between the two
    /// may not have the key that the caller knows.
    #[must_use]
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.active.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKeys").field("ring", &self.ring()).finish()
    }
}
