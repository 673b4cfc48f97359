//! The ring that counts now. Whoever signs or verifies shares it, so a rotation reaches all of them at once.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::info;

use super::verifying_keys::VerifyingKeys;
use super::{Jwks, KeyRing};

/// Keys that can be replaced while requests are served.
pub struct TokenKeys {
    active: RwLock<Arc<ActiveKeys>>,
}

/// A ring, and what verifies with it.
pub(super) struct ActiveKeys {
    pub(super) ring: KeyRing,
    pub(super) verifying: VerifyingKeys,
}

impl TokenKeys {
    /// Keys to begin with.
    #[must_use]
    pub fn new(ring: KeyRing) -> Arc<Self> {
        Arc::new(Self { active: RwLock::new(Arc::new(ActiveKeys::new(ring))) })
    }

    /// Lets another ring count. A key that is not in it verifies nothing from now on. The same keys again change
    /// nothing, so this may be called whenever the settings were read.
    pub fn replace(&self, ring: KeyRing) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        if active.ring.is_same(&ring) {
            return;
        }
        info!(kid = ring.current.kid(), "the keys of tokens were replaced");
        *active = Arc::new(ActiveKeys::new(ring));
    }

    /// What others may know of the keys that count now.
    #[must_use]
    pub fn jwks(&self) -> Jwks {
        self.active().ring.jwks()
    }

    pub(super) fn active(&self) -> Arc<ActiveKeys> {
        Arc::clone(&self.active.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ActiveKeys {
    fn new(ring: KeyRing) -> Self {
        let verifying = ring.verifying();
        Self { ring, verifying }
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("ring", &self.active().ring).finish_non_exhaustive()
    }
}
